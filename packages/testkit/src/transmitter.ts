import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { type Answer, json, problem, reply } from './answers.ts'
import { newHostileKeys } from './hostile-keys.ts'
import { closeServer, listen } from './listen.ts'
import { type JwtTwists, signJwt } from './twists.ts'

export const caep = 'https://schemas.openid.net/secevent/caep/event-type/'
export const ssf = 'https://schemas.openid.net/secevent/ssf/event-type/'

/** What a test can make the transmitter do. Absent means: as an honest one would. */
export interface TransmitterTwists {
  /** Members laid over its configuration; undefined removes one. */
  configuration: Readonly<Record<string, unknown>>
  /** A whole answer in place of the honest one at this path. */
  answer: Readonly<Record<string, Answer>>
  /** Events are not given out when they are asked for, but all the same said to be there. */
  holdsBack: boolean
  /** Acknowledgements are not heeded: the same events come again. */
  forgetsAcks: boolean
  /** Reads requests to poll, and never answers them. */
  stallsPolls: boolean
}

/** How an event differs from an honest one. */
export interface EventOptions {
  /** Laid over the honest header; undefined removes one. */
  readonly header?: Readonly<Record<string, unknown>>
  readonly signature?: JwtTwists['signature']
}

export interface PollRequest {
  readonly maxEvents?: number
  readonly returnImmediately?: boolean
  readonly ack?: readonly string[]
  readonly setErrs?: Readonly<Record<string, { err: string; description: string }>>
}

export interface TestTransmitter extends AsyncDisposable {
  readonly issuer: string
  readonly audience: string
  readonly pollUrl: string
  /** The bearer token of the poll and verification endpoints. */
  readonly pollToken: string
  readonly twist: Partial<TransmitterTwists>
  /** A signed event: claims are laid over honest ones, undefined removes one. */
  event(claims: Readonly<Record<string, unknown>>, options?: EventOptions): Promise<string>
  /** Pushes as RFC 8935 has it. */
  push(url: string, token: string, headers?: Readonly<Record<string, string>>): Promise<Response>
  /** Puts an event where it is polled; resolves to its jti. */
  queue(claims: Readonly<Record<string, unknown>>, options?: EventOptions): Promise<string>
  /** Puts anything there. */
  queueRaw(jti: string, value: unknown): void
  readonly queued: ReadonlyMap<string, unknown>
  readonly acknowledged: ReadonlySet<string>
  readonly refused: ReadonlyMap<string, { err: string; description: string }>
  /** Requests to poll that it has answered, in order. */
  readonly polls: readonly PollRequest[]
  /** Requests for a verification event, in order; a test sends the event itself. */
  readonly verifications: readonly { readonly stream_id: string; readonly state?: string }[]
  /** Requests to poll that it left without an answer. */
  readonly stalledPolls: number
  readonly jwksFetches: number
  /** Signs with a new key from now on, and publishes that one only. */
  rotate(): Promise<void>
  down(): Promise<void>
  up(): Promise<void>
}

/** A transmitter of security events: real keys, JWKS and configuration over HTTP, push and poll. */
export async function startTestTransmitter(options: {
  audience: string
  now?: () => number
}): Promise<TestTransmitter> {
  const { audience, now = Date.now } = options
  const pollToken = 'poll-token-of-the-transmitter'
  const twist: Partial<TransmitterTwists> = {}
  const queued = new Map<string, unknown>()
  const acknowledged = new Set<string>()
  const refused = new Map<string, { err: string; description: string }>()
  const polls: PollRequest[] = []
  const verifications: { stream_id: string; state?: string }[] = []
  let keys = await newHostileKeys('transmitter-key-1')
  let rotations = 1
  let jwksFetches = 0
  let stalled = 0
  let issuer = ''

  async function event(claims: Readonly<Record<string, unknown>>, { header = {}, signature }: EventOptions = {}) {
    const honest = { iss: issuer, aud: audience, iat: Math.floor(now() / 1000), jti: randomUUID(), txn: 'txn-1' }
    // JSON drops what is undefined.
    const all = JSON.parse(JSON.stringify({ ...honest, ...claims })) as Record<string, unknown>
    const typed = JSON.parse(JSON.stringify({ typ: 'secevent+jwt', ...header })) as Record<string, unknown>
    return await signJwt(all, keys, { header: typed, ...(signature && { signature }) })
  }

  function poll(request: PollRequest): Answer {
    polls.push(request)
    for (const jti of twist.forgetsAcks ? [] : (request.ack ?? [])) {
      acknowledged.add(jti)
      queued.delete(jti)
    }
    for (const [jti, error] of Object.entries(request.setErrs ?? {})) {
      refused.set(jti, error)
      queued.delete(jti)
    }
    const given = twist.holdsBack ? [] : [...queued].slice(0, request.maxEvents ?? queued.size)
    return json({ sets: Object.fromEntries(given), moreAvailable: given.length < queued.size })
  }

  const handlers: Readonly<Record<string, (request: IncomingMessage, body: string) => Answer | Promise<Answer>>> = {
    '/.well-known/ssf-configuration': () =>
      json({
        spec_version: '1_0',
        issuer,
        jwks_uri: `${issuer}/jwks`,
        verification_endpoint: `${issuer}/verify`,
        delivery_methods_supported: ['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936'],
        ...twist.configuration,
      }),
    '/jwks': async () => {
      jwksFetches++
      return json({ keys: [keys.published.RS256] })
    },
    '/verify': (request, body) => {
      if (request.headers.authorization !== `Bearer ${pollToken}`) return problem(401, 'invalid_token')
      verifications.push(JSON.parse(body) as (typeof verifications)[number])
      return { status: 204, body: '' }
    },
    '/poll': (request, body) => {
      if (request.headers.authorization !== `Bearer ${pollToken}`) return problem(401, 'invalid_token')
      if (request.method !== 'POST' || request.headers['content-type'] !== 'application/json')
        return problem(400, 'bad')
      return poll(JSON.parse(body) as PollRequest)
    },
  }

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://transmitter')
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
    if (pathname === '/poll' && twist.stallsPolls) return void stalled++
    const own = twist.answer?.[pathname]
    reply(response, own ?? (await handlers[pathname]?.(request, body)) ?? problem(404, 'not_found'))
  })
  const port = await listen(server)
  issuer = `http://localhost:${port}`

  const queue: TestTransmitter['queue'] = async (claims, eventOptions) => {
    const jti = typeof claims.jti === 'string' ? claims.jti : randomUUID()
    queued.set(jti, await event({ ...claims, jti }, eventOptions))
    return jti
  }
  const down = () => closeServer(server)
  return {
    issuer,
    audience,
    pollUrl: `${issuer}/poll`,
    pollToken,
    twist,
    event,
    push: (url, token, headers = {}) =>
      fetch(url, { method: 'POST', body: token, headers: { 'content-type': 'application/secevent+jwt', ...headers } }),
    queue,
    queueRaw: (jti, value) => void queued.set(jti, value),
    queued,
    acknowledged,
    refused,
    polls,
    verifications,
    get stalledPolls() {
      return stalled
    },
    get jwksFetches() {
      return jwksFetches
    },
    async rotate() {
      keys = await newHostileKeys(`transmitter-key-${++rotations}`)
    },
    down,
    async up() {
      await listen(server, port)
    },
    [Symbol.asyncDispose]: down,
  }
}
