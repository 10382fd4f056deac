import { kindOf } from '../providers/kinds.ts'
import { reviewKind } from './kind-rules.ts'
import { policyOf } from './provider-policy.ts'
import type { WrittenProvider } from './provider-schema.ts'
import type { Path, Review } from './review.ts'

const proofs = ['clientSecret', 'clientKey', 'clientCertificate'] as const
type Key = keyof WrittenProvider

/** What a provider's keys say together must be one thing. */
const rules: readonly {
  readonly reads: readonly Key[]
  readonly at: Key
  readonly breaks: (provider: WrittenProvider) => boolean
  readonly message: string
}[] = [
  {
    reads: [...proofs, 'profile', 'kind'],
    at: 'clientSecret',
    breaks: (provider) =>
      proofsIn(provider).length === 0 && provider.profile === undefined && !kindOf(provider).publicClient,
    message:
      'is missing; write { env: NAME } or { file: path }, or prove the client by clientKey (private_key_jwt) or clientCertificate (mutual TLS)',
  },
  {
    reads: [...proofs, 'profile'],
    at: 'clientKey',
    breaks: (provider) => proofsIn(provider).length === 0 && provider.profile === 'fapi2',
    message:
      'is missing; profile: fapi2 needs clientKey: { file: key.pem }, or clientCertificate: { cert: client.crt, key: client.key }',
  },
  {
    reads: ['clientSecret', 'profile'],
    at: 'clientSecret',
    breaks: ({ clientSecret, profile }) => clientSecret !== undefined && profile === 'fapi2',
    message:
      'profile: fapi2 knows no shared secret; write clientKey: { file: key.pem } or clientCertificate: { cert: client.crt, key: client.key } instead',
  },
  {
    reads: ['clientAuth', 'clientSecret'],
    at: 'clientAuth',
    breaks: ({ clientAuth, clientSecret }) => clientAuth !== undefined && clientSecret === undefined,
    message: 'says how clientSecret is sent, and there is none; remove it',
  },
  {
    reads: ['clientCertificate', 'issuer'],
    at: 'clientCertificate',
    breaks: ({ clientCertificate, issuer }) => clientCertificate !== undefined && issuer?.startsWith('http:') === true,
    message: 'is shown over TLS only, and the issuer is plain http; write an https issuer',
  },
  {
    reads: ['ca', 'issuer'],
    at: 'ca',
    breaks: ({ ca, issuer }) => ca !== undefined && issuer?.startsWith('http:') === true,
    message: 'is for TLS, and the issuer is plain http; remove it',
  },
  {
    reads: ['par', 'profile'],
    at: 'par',
    breaks: ({ par, profile }) => par === 'never' && profile === 'fapi2',
    message: 'profile: fapi2 pushes every authorization request; remove it or write always',
  },
  {
    reads: ['dpop', 'profile', 'clientCertificate'],
    at: 'dpop',
    breaks: ({ dpop, profile, clientCertificate }) => dpop === 'never' && profile === 'fapi2' && !clientCertificate,
    message:
      'profile: fapi2 wants tokens that only their owner can use; remove it or write always, or bind them to a clientCertificate',
  },
  {
    reads: ['clientKey', 'profile'],
    at: 'clientKey',
    breaks: ({ clientKey, profile }) =>
      profile === 'fapi2' && clientKey !== undefined && !['PS256', 'ES256', 'EdDSA'].includes(clientKey.algorithm),
    message: 'profile: fapi2 signs with ES256, PS256 or EdDSA only; take a key on P-256, and remove algorithm: RS256',
  },
]

export function reviewProvider(at: Path, provider: WrittenProvider, review: Review): void {
  if (typeof provider !== 'object' || provider === null) return
  const { sound, problem } = review
  reviewKind(at, provider, review)
  for (const { reads, at: key, breaks, message } of rules) {
    if (sound(at, ...reads) && breaks(provider)) problem([...at, key], message)
  }
  if (!sound(at, ...proofs, 'profile')) return
  const [first, ...others] = proofsIn(provider).filter((key) => !(key === 'clientSecret' && provider.profile))
  for (const other of others) problem([...at, other], `a client proves itself in one way; remove it or ${first}`)
}

/** A token that only the holder of the certificate may use is of no use to an upstream that checks it. */
export function reviewBinding(at: Path, provider: WrittenProvider, { sound, warn }: Review): void {
  if (!sound(at, 'profile', 'dpop', 'clientCertificate')) return
  const { fapi2, dpop } = policyOf(provider)
  if (!fapi2 || dpop !== 'never' || !provider.clientCertificate) return
  warn(
    [...at, 'clientCertificate'],
    'binds the access token, and upstreams are not shown it: one that checks the binding refuses the token; dpop: always binds it in a way that an upstream can check',
  )
}

function proofsIn(provider: WrittenProvider) {
  return proofs.filter((key) => provider[key] !== undefined)
}
