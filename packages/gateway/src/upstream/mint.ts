import { randomBytes } from 'node:crypto'
import { CompactEncrypt, SignJWT } from 'jose'
import { groupsOf } from '../access/roles.ts'
import type { EncryptionKey } from '../config/encryption-key.ts'
import type { Config, MintConfig } from '../config/schema.ts'
import { Refusal } from '../errors.ts'
import { providerOf } from '../oidc/provider-of.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { createMintingKeys, type PublishedKey } from './minting-keys.ts'

/** A token for one session, as it stands in `Authorization: Bearer`; at once where one is good for this request. */
export type MintedToken = (session: LiveSession) => string | Promise<string>

export interface Mint {
  /** Routes that say the same share their tokens. */
  tokensOf(config: MintConfig): MintedToken
  /** For `/auth/jwks.json`. */
  published(): PublishedKey[]
}

/** A token this near to its end may be over when the upstream reads it; milliseconds, at most half of its life. */
const margin = 10_000

interface Minted {
  readonly token: string
  readonly kid: string
  /** Milliseconds since the epoch. */
  readonly until: number
}

/**
 * The gateway's own tokens for upstreams: one issuer that all of them trust, whichever provider the user came from, and whether
 * that one answers or not. Short-lived, for one audience, and signed by a key that only signs.
 * @see RFC 9068 (JWT profile for access tokens)
 */
export function createMint(services: Pick<Services, 'config' | 'now' | 'providers' | 'ring' | 'sessions'>): Mint {
  const { config, now, providers, ring, sessions } = services
  const keys = createMintingKeys(ring, now)
  const claimsOf = createClaims(config, providers, sessions.handleOf)
  const shared = new Map<string, MintedToken>()

  async function make(mint: MintConfig, session: LiveSession): Promise<Minted> {
    const at = now()
    // No token outlives the longest that its session may live; what ends that before is not waited for longer than `ttl`.
    const exp = Math.floor(Math.min(at + mint.ttl, session.record.absoluteExpiresAt) / 1000)
    const { kid, key } = keys.signer()
    const claims = { ...claimsOf(session, mint), iat: Math.floor(at / 1000), exp }
    const signed = await new SignJWT({ ...claims, jti: randomBytes(16).toString('base64url') })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
      .sign(key)
    const token = mint.encryptTo === undefined ? signed : await encrypted(signed, mint.encryptTo)
    return { token, kid, until: exp * 1000 - Math.min(margin, mint.ttl / 2) }
  }

  function createTokens(mint: MintConfig): MintedToken {
    // Keyed by the opened session itself: gone with it, and made anew with every change of what is said of the user.
    const held = new WeakMap<LiveSession, Minted>()
    const underWay = new WeakMap<LiveSession, Promise<string>>()
    return (session) => {
      const known = held.get(session)
      const at = now()
      // A key that was withdrawn: upstreams refuse what it signed, and the user would be refused with it.
      if (known !== undefined && at < known.until && keys.isPublished(known.kid, at)) return known.token
      const running = underWay.get(session)
      if (running) return running
      const flight = make(mint, session)
        .then((minted) => {
          held.set(session, minted)
          return minted.token
        })
        .finally(() => underWay.delete(session))
      underWay.set(session, flight)
      return flight
    }
  }

  return {
    tokensOf(mint) {
      const name = nameOf(mint)
      const tokens = shared.get(name) ?? createTokens(mint)
      shared.set(name, tokens)
      return tokens
    },
    published: keys.published,
  }
}

/** What is the same for two routes only if their tokens may be the same. */
function nameOf({ encryptTo, ...rest }: MintConfig): string {
  const { key, ...recipient } = encryptTo ?? {}
  return JSON.stringify([rest, recipient, key?.export({ format: 'jwk' })])
}

/** Signed, then encrypted: what is inside can be shown to nobody but its reader. @see RFC 7519 §11.2 */
function encrypted(signed: string, { key, algorithm, kid }: EncryptionKey): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(signed))
    .setProtectedHeader({ alg: algorithm, enc: 'A256GCM', cty: 'JWT', ...(kid !== undefined && { kid }) })
    .encrypt(key)
}

/** Where minted tokens come from: their `iss`, below which their keys are. */
export function issuerOf({ origin, basePath }: Pick<Config, 'origin' | 'basePath'>): string {
  return origin + basePath
}

function createClaims(config: Config, providers: Services['providers'], handleOf: Services['sessions']['handleOf']) {
  const iss = issuerOf(config)
  const several = new Set(Object.values(config.providers).map(({ issuer }) => issuer)).size > 1

  return ({ id, record }: LiveSession, { audience, claims }: MintConfig) => {
    const { acr, attributes, authenticatedAt, provider, roles, scopes = [], subject } = record
    const client = providerOf(providers, record)?.config
    if (client === undefined) {
      throw new Refusal('login_required', {
        cause: `the provider ${provider} of the session is not configured any more`,
      })
    }
    return {
      iss,
      sub: several ? qualified(subject) : subject.sub,
      // Who that is at the provider, in a form that stays the same when a second provider comes. @see RFC 9493 §3.2.4, §4.1
      sub_id: { format: 'iss_sub', iss: subject.iss, sub: subject.sub },
      aud: audience,
      client_id: client.clientId,
      auth_time: Math.floor(authenticatedAt / 1000),
      ...(acr !== undefined && { acr }),
      // The name of the session in our log: a hash that opens nothing.
      sid: handleOf(id),
      ...(claims.includes('roles') && { roles }),
      ...(claims.includes('groups') && { groups: groupsOf(attributes) }),
      ...(claims.includes('scope') && { scope: scopes.join(' ') }),
    }
  }
}

/**
 * A provider may give its users the names that another one's have: `ada` here would become `ada` there in every service that
 * reads `sub` alone. With several issuers, `sub` holds both: a URI, and never the same for two users, since no issuer has a `#`.
 * @see RFC 7519 §2 (StringOrURI), §4.1.2
 */
function qualified({ iss, sub }: LiveSession['record']['subject']): string {
  return `${iss}#${encodeURIComponent(sub)}`
}
