import type { IncomingMessage, Server } from 'node:http'
import type { DevelopmentUser } from '../../gateway/src/demo/provider-users.ts'

/** Paths of the provider, as discovery names them. */
export const providerPaths = {
  discovery: '/.well-known/openid-configuration',
  authorization: '/auth',
  pushed: '/request',
  token: '/token',
  userinfo: '/me',
  jwks: '/jwks',
  revocation: '/token/revocation',
  endSession: '/session/end',
} as const

export type ProviderPath = (typeof providerPaths)[keyof typeof providerPaths]

export interface ProviderUser extends DevelopmentUser {
  name: string
  email: string
  groups: string[]
  withheld?: string[]
}

/** A request that the provider got at one of its endpoints. */
export interface ProviderRequest {
  readonly path: string
  readonly method: string
  /** The query's parameters, or the form's for POST. */
  readonly params: URLSearchParams
  readonly headers: IncomingMessage['headers']
  /** Of the answer; 0 until it is there. */
  status: number
}

export interface TestProvider extends AsyncDisposable {
  readonly issuer: string
  readonly server: Server
  /** Change them: name, email, groups count at the next sign-in or refresh. */
  readonly users: ProviderUser[]
  /** Every request, in order; `at(path)` picks one endpoint's. */
  readonly requests: readonly ProviderRequest[]
  at(path: ProviderPath): ProviderRequest[]
  /** The parameters of the authorization requests. */
  readonly authorizations: URLSearchParams[]
  /** How many authorization codes became tokens. */
  readonly codesRedeemed: number
  readonly tokenRequests: number
  readonly userinfoRequests: number
  readonly jwksFetches: number
  readonly discoveryFetches: number
  /** Access, refresh and ID tokens ever issued: none may be seen by a browser. */
  readonly issuedTokens: Set<string>
  /** Authorization codes ever issued: a browser carries them to the callback, and nowhere else. */
  readonly issuedCodes: Set<string>

  /** Stops listening; `up` opens the same port again. */
  down(): Promise<void>
  up(): Promise<void>
  /** Makes the endpoint (or all) answer so much later. Undone by the function returned. */
  delay(milliseconds: number, path?: ProviderPath): () => void
  /** Makes the endpoint (or all) answer this status with an empty body. Undone by the function returned. */
  failWith(status: number, path?: ProviderPath): () => void
  /** Makes the endpoint answer with this error document. Undone by the function returned. */
  failAs(status: number, document: object, path: ProviderPath): () => void
  /** The next answers of the endpoint are lost: the provider did its work, and the connection dies. */
  loseAnswers(count: number, path: ProviderPath): void
  /** Changes the bodies that the endpoint answers. Undone by the function returned. */
  tamper(path: ProviderPath, change: (body: string) => string): () => void
  /** UserInfo answers with another sub, as when a token was swapped. Undone by the function returned. */
  userinfoSub(sub: string): () => void
  /** A new signing key with a new kid; the old one is published no more, unless kept. */
  rotateKeys(options?: { keepOld?: boolean }): Promise<void>
  close(): Promise<void>
}
