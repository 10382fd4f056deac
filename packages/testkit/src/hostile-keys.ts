import { exportJWK, exportSPKI, type GenerateKeyPairResult, generateKeyPair } from 'jose'

/** The algorithms in which the hostile provider signs honestly. */
export type HostileAlgorithm = 'RS256' | 'PS256' | 'ES256'

export interface HostileKeys {
  /** Its own, one for each algorithm. */
  readonly own: Readonly<Record<HostileAlgorithm, GenerateKeyPairResult>>
  /** Of somebody else: published nowhere. */
  readonly stranger: Readonly<Record<HostileAlgorithm, GenerateKeyPairResult>>
  /** The public halves of its own, with `kid`, `alg` and `use`. */
  readonly published: Readonly<Record<HostileAlgorithm, PublicKey>>
  readonly strangerJwk: Readonly<Record<string, unknown>>
  readonly clientSecret: string
  /** The public RSA key in PEM: what a careless verifier would take for an HMAC secret. */
  readonly publicPem: string
}

export type PublicKey = Readonly<Record<string, unknown>> & { readonly kid: string }

let made: Promise<Omit<HostileKeys, 'clientSecret'>> | undefined

/** RSA keys are slow to make: one set serves a test file. */
export async function hostileKeys(clientSecret: string): Promise<HostileKeys> {
  made ??= make()
  return { ...(await made), clientSecret }
}

/** Keys of their own, for whoever must not share them. @param kid of the RSA key */
export async function newHostileKeys(kid: string): Promise<HostileKeys> {
  return { ...(await make(kid)), clientSecret: '' }
}

async function make(kid = 'honest-key'): Promise<Omit<HostileKeys, 'clientSecret'>> {
  const [own, stranger] = await Promise.all([pairs(), pairs()])
  const published = {
    RS256: await publicKey(own, 'RS256', kid),
    PS256: await publicKey(own, 'PS256', 'honest-pss-key'),
    ES256: await publicKey(own, 'ES256', 'honest-ec-key'),
  }
  const strangerJwk = { ...(await exportJWK(stranger.RS256.publicKey)) }
  return { own, stranger, published, strangerJwk, publicPem: await exportSPKI(own.RS256.publicKey) }
}

async function pairs() {
  const [RS256, PS256, ES256] = await Promise.all([newPair('RS256'), newPair('PS256'), newPair('ES256')])
  return { RS256, PS256, ES256 }
}

/** A key pair, for tests that sign by themselves. */
export const newPair = (alg: HostileAlgorithm) => generateKeyPair(alg, { extractable: true })

async function publicKey(
  pairs: Record<HostileAlgorithm, GenerateKeyPairResult>,
  alg: HostileAlgorithm,
  kid: string,
): Promise<PublicKey> {
  return { ...(await exportJWK(pairs[alg].publicKey)), kid, alg, use: 'sig' }
}
