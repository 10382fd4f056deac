import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JWKS } from 'oidc-provider'
import { type DevelopmentProvider, newSigningKey, startDevelopmentProvider } from '../../gateway/src/demo/provider.ts'
import type { ProviderInput } from '../../gateway/src/demo/provider-config.ts'
import type { DevelopmentUser } from '../../gateway/src/demo/provider-users.ts'
import { closeServer, listen } from './listen.ts'
import { tapResponse } from './tap.ts'
import { runAt } from './time-travel.ts'
import { recordTokens, type TokenRecord } from './token-record.ts'

/** Paths of the provider, as discovery names them. */
export const providerPaths = {
  discovery: '/.well-known/openid-configuration',
  authorization: '/auth',
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
}

export interface TestProviderOptions extends Partial<Omit<ProviderInput, 'users'>> {
  readonly users?: ProviderUser[]
  readonly issuerHost?: '127.0.0.1' | 'localhost'
  /** The clock of the provider's tokens and sessions. */
  readonly now?: () => number
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
  /** Changes the bodies that the endpoint answers. Undone by the function returned. */
  tamper(path: ProviderPath, change: (body: string) => string): () => void
  /** UserInfo answers with another sub, as when a token was swapped. Undone by the function returned. */
  userinfoSub(sub: string): () => void
  /** A new signing key with a new kid; the old one is published no more, unless kept. */
  rotateKeys(options?: { keepOld?: boolean }): Promise<void>
  close(): Promise<void>
}

export const sampleUsers = (): ProviderUser[] => [
  { sub: 'ada', name: 'Ada Lovelace', email: 'ada@example.com', groups: ['ops', 'staff'] },
  { sub: 'bob', name: 'Bob Example', email: 'bob@example.com', groups: ['staff'] },
  { sub: 'eve', name: 'Eve Adversary', email: 'eve@example.com', groups: [] },
]

interface Rule {
  readonly path: ProviderPath | undefined
  readonly delay?: number
  readonly status?: number
  readonly change?: (body: string) => string
}

let sharedKey: Promise<JWKS['keys'][number]> | undefined

/** The development provider, with everything counted, every token noted, and knobs to break it. */
export async function startTestProvider(options: TestProviderOptions = {}): Promise<TestProvider> {
  const { users = sampleUsers(), clients = [], now = Date.now, issuerHost = 'localhost', ...rest } = options
  // Making an RSA key takes longer than a whole test: one serves all the providers of a test file.
  sharedKey ??= newSigningKey()
  let keys: JWKS['keys'][number][] = [await sharedKey]
  const requests: ProviderRequest[] = []
  const record: TokenRecord = { tokens: new Set(), codes: new Set(), redeemed: 0 }
  const rules = new Set<Rule>()

  const around = (handler: RequestListener): RequestListener =>
    async function answer(request: IncomingMessage, response: ServerResponse) {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://provider')
      const entry = {
        path: pathname,
        method: request.method ?? '',
        params: searchParams,
        headers: request.headers,
        status: 0,
      }
      requests.push(entry)
      if (request.method === 'POST') readAlong(request, entry)
      const active = () => [...rules].filter((rule) => rule.path === undefined || rule.path === pathname)
      for (const rule of active()) if (rule.delay !== undefined) await sleep(rule.delay)
      const status = active().find((rule) => rule.status !== undefined)?.status
      if (status !== undefined) {
        entry.status = status
        return void response.writeHead(status).end()
      }
      tapResponse(response, (body) => {
        entry.status = response.statusCode
        const changed = active().reduce((text, rule) => rule.change?.(text) ?? text, body)
        recordTokens(record, entry, response, [body, changed])
        return changed
      })
      runAt(now, () => handler(request, response))
    }

  const inner: DevelopmentProvider = await startDevelopmentProvider({
    ...rest,
    users,
    clients,
    issuerHost,
    jwks: { keys: structuredClone(keys) },
    around,
  })
  const port = Number(new URL(inner.issuer).port)
  const at = (path: ProviderPath) => requests.filter((request) => request.path === path)
  const add = (rule: Rule) => {
    rules.add(rule)
    return () => void rules.delete(rule)
  }
  const close = () => closeServer(inner.server)

  return {
    issuer: inner.issuer,
    users,
    requests,
    at,
    get authorizations() {
      return at(providerPaths.authorization).map((request) => request.params)
    },
    get codesRedeemed() {
      return record.redeemed
    },
    get tokenRequests() {
      return at(providerPaths.token).length
    },
    get userinfoRequests() {
      return at(providerPaths.userinfo).length
    },
    get jwksFetches() {
      return at(providerPaths.jwks).length
    },
    get discoveryFetches() {
      return at(providerPaths.discovery).length
    },
    issuedTokens: record.tokens,
    issuedCodes: record.codes,
    down: close,
    up: async () => void (await listen(inner.server, port)),
    delay: (delay, path) => add({ path, delay }),
    failWith: (status, path) => add({ path, status }),
    tamper: (path, change) => add({ path, change }),
    userinfoSub: (sub) =>
      add({ path: providerPaths.userinfo, change: (body) => JSON.stringify({ ...JSON.parse(body), sub }) }),
    async rotateKeys({ keepOld = false } = {}) {
      const fresh = await newSigningKey()
      keys = keepOld ? [fresh, ...keys] : [fresh]
      inner.useKeys({ keys: structuredClone(keys) })
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Notes the fields of a form without taking the body away from the provider. */
function readAlong(request: IncomingMessage, entry: { params: URLSearchParams }): void {
  const chunks: Buffer[] = []
  const push = request.push.bind(request)
  request.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
    if (chunk === null) entry.params = new URLSearchParams(Buffer.concat(chunks).toString())
    return push(chunk, encoding)
  }
}
