import type { JsonObject } from './json.ts'
import type { EndReason, SessionId } from './store.ts'

/** Who signed in: a user is issuer and subject together, never an e-mail address. @see ASVS 5.0 6.8.1 */
export interface Subject {
  readonly iss: string
  readonly sub: string
}

/** Who somebody is at the provider behind their provider: Okta's user behind a Cognito user pool. */
export interface FederatedIdentity {
  /** The name that the provider in between gives to the one behind it. */
  readonly provider: string
  readonly sub: string
}

/** What the gateway knows of a session without the browser's cookie. Times are milliseconds since the epoch. */
export interface SessionRecord {
  readonly subject: Subject
  /** The configured name of the provider. */
  readonly provider: string
  /** The provider's own session id (`sid` of the ID token). */
  readonly providerSid?: string
  /** The user's address, normalised, if the provider verified it. For finding sessions, never for telling who someone is. */
  readonly email?: string
  readonly federated?: readonly FederatedIdentity[]
  readonly createdAt: number
  /** When the user last proved who they are (`auth_time`). */
  readonly authenticatedAt: number
  readonly lastSeenAt: number
  readonly absoluteExpiresAt: number
  readonly acr?: string
  readonly roles: readonly string[]
  /** The claims by which roles and access are decided; shown to nobody. */
  readonly attributes?: JsonObject
  /** What was granted to the client for this user, where the provider says. */
  readonly scopes?: readonly string[]
  /** When roles or attributes changed during the session: cookie values from before are replaced. */
  readonly privilegesChangedAt?: number
  /** The claims that `/auth/session` may show. */
  readonly claims: JsonObject
  /** User-Agent and address at sign-in, for the user's own list of sessions. */
  readonly userAgent: string
  readonly address: string
  /** The cookie values of this session, oldest first; the last one is the current. */
  readonly lineage: readonly Generation[]
  /** Counts the token sets of this session, from 1: which refresh token a refresh redeems. */
  readonly tokensVersion: number
  /** Who redeems the refresh token now, and until when (milliseconds since the epoch). See refresh-lease.ts. */
  readonly refreshLease?: { readonly holder: string; readonly until: number }
}

/** One value of the session cookie: enough to recognise it and, with its secret, to open the tokens. See lineage.ts. */
export interface Generation {
  readonly number: number
  /** SHA-256 of the secret, base64url. */
  readonly secretHash: string
  readonly issuedAt: number
  /** When this value is known to have reached the browser: its answer was sent, or it was used. */
  readonly deliveredAt?: number
  /** The data key, wrapped under HKDF(secret, ring key `keyId`), base64url. Gone when the value is worth nothing any more. */
  readonly wrapped?: { readonly keyId: string; readonly key: string }
}

/** What only the browser's cookie opens. */
export interface Tokens {
  readonly accessToken: string
  /** Milliseconds since the epoch; absent when the provider did not say. */
  readonly accessTokenExpiresAt?: number
  /** When these tokens came, in milliseconds since the epoch. */
  readonly obtainedAt: number
  readonly refreshToken?: string
  readonly idToken: string
  /** The private key that the access token is bound to (RFC 9449), see oidc/dpop-key.ts; absent for a bearer token. */
  readonly dpopKey?: string
  readonly signIn?: SignInFacts
  /** Refresh tokens of sessions that this one replaced, revoked when it ends. See oidc/replaced-tokens.ts. */
  readonly inherited?: readonly string[]
}

/** Of the ID token that the sign-in brought; later ones may leave it out, and may not contradict it. */
export interface SignInFacts {
  readonly iss: string
  /** Seconds since the epoch, as in the token. */
  readonly iat: number
  readonly nonce?: string
  readonly authTime?: number
}

/** A session that this process has opened: all that the hot path needs, without I/O. */
export interface LiveSession {
  readonly id: SessionId
  readonly version: number
  readonly record: SessionRecord
  readonly tokens: Tokens
  /** What the tokens are sealed under, as long as the session lasts: the cookie opened it once, as it opened them. */
  readonly dataKey: Buffer
  /** The newest cookie value: its number, and the SHA-256 of its secret. */
  readonly generation: number
  readonly secretHash: Buffer
  /** The newest secret itself, once it was presented and proved: comparing with it saves a hash on every request. */
  secret?: string
  /** Milliseconds since the epoch; ahead of `record.lastSeenAt`, which is written only now and then. */
  lastSeenAt: number
}

/** What became of a presented cookie. */
export type Opened =
  | {
      readonly kind: 'live'
      readonly session: LiveSession
      /** The answer should carry a new cookie value: see `Sessions.rotate`. */
      readonly rotationDue: boolean
    }
  /** No such session: never issued by us, a wrong secret, or long forgotten. */
  | { readonly kind: 'unknown' }
  /** It was a session; it is over. */
  | { readonly kind: 'ended'; readonly reason: EndReason }
