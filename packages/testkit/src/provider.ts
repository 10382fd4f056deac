import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JWKS } from 'oidc-provider'
import {
  type DevelopmentProvider,
  type DevelopmentProviderOptions,
  newSigningKey,
  startDevelopmentProvider,
} from '../../gateway/src/demo/provider.ts'
import type { ProviderInput } from '../../gateway/src/demo/provider-config.ts'
import type { DevelopmentClient } from '../../gateway/src/demo/provider-users.ts'
import { closeServer, listen } from './listen.ts'
import {
  type ProviderPath,
  type ProviderRequest,
  type ProviderUser,
  providerPaths,
  type TestProvider,
} from './provider-api.ts'
import { tapResponse } from './tap.ts'
import { runAt } from './time-travel.ts'
import { type ExchangeRules, exchangeGrant, registerTokenExchange } from './token-exchange.ts'
import { recordTokens, type TokenRecord } from './token-record.ts'

export interface TestProviderOptions extends Partial<Omit<ProviderInput, 'users'>> {
  readonly users?: ProviderUser[]
  readonly issuerHost?: '127.0.0.1' | 'localhost'
  /** The clock of the provider's tokens and sessions. */
  readonly now?: () => number
  readonly tls?: NonNullable<DevelopmentProviderOptions['tls']>
  /** Exchanges tokens for others (RFC 8693), for all of its clients. */
  readonly exchange?: ExchangeRules
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
  readonly document?: object
  /** Answers still to be lost. */
  lose?: number
}

let sharedKey: Promise<JWKS['keys'][number]> | undefined

/** The development provider, with everything counted, every token noted, and knobs to break it. */
export async function startTestProvider(options: TestProviderOptions = {}): Promise<TestProvider> {
  const { users = sampleUsers(), clients = [], now = Date.now, issuerHost = 'localhost', exchange, ...rest } = options
  // Making an RSA key takes longer than a whole test: one serves all the providers of a test file.
  sharedKey ??= newSigningKey()
  // FAPI 2.0 knows no RS256.
  const newKey = () => newSigningKey(options.fapi2 ? 'ES256' : 'RS256')
  let keys: JWKS['keys'][number][] = [await (options.fapi2 ? newKey() : sharedKey)]
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
      const failing = active().find((rule) => rule.status !== undefined)
      if (failing?.status !== undefined) {
        entry.status = failing.status
        const json = failing.document && JSON.stringify(failing.document)
        return void response.writeHead(failing.status, json ? { 'content-type': 'application/json' } : {}).end(json)
      }
      tapResponse(response, (body) => {
        entry.status = response.statusCode
        const changed = active().reduce((text, rule) => rule.change?.(text) ?? text, body)
        recordTokens(record, entry, response, [body, changed])
        const losing = active().find((rule) => rule.lose !== undefined && rule.lose > 0)
        if (losing?.lose !== undefined) {
          losing.lose--
          request.socket.destroy()
        }
        return changed
      })
      runAt(now, () => handler(request, response))
    }

  const inner: DevelopmentProvider = await startDevelopmentProvider({
    ...rest,
    users,
    clients: exchange ? clients.map(exchanging) : clients,
    issuerHost,
    jwks: { keys: structuredClone(keys) },
    around,
    ...(exchange && { extend: (provider) => registerTokenExchange(provider, exchange) }),
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
    server: inner.server,
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
    failAs: (status, document, path) => add({ path, status, document }),
    loseAnswers: (lose, path) => void add({ path, lose }),
    tamper: (path, change) => add({ path, change }),
    userinfoSub: (sub) =>
      add({ path: providerPaths.userinfo, change: (body) => JSON.stringify({ ...JSON.parse(body), sub }) }),
    async rotateKeys({ keepOld = false } = {}) {
      const fresh = await newKey()
      keys = keepOld ? [fresh, ...keys] : [fresh]
      inner.useKeys({ keys: structuredClone(keys) })
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

const exchanging = (client: DevelopmentClient): DevelopmentClient => ({
  ...client,
  metadata: { ...client.metadata, grant_types: ['authorization_code', 'refresh_token', exchangeGrant] },
})

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
