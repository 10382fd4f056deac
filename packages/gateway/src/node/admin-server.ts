import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import type { AdminRequest, AdminRow } from '../admin-endpoint.ts'
import type { Respond } from '../decision.ts'
import { Refusal } from '../errors.ts'
import type { EventLog } from '../event-log.ts'
import { printable } from '../protocol/printable.ts'
import { problemResponse } from '../protocol/problem.ts'
import { connectionOf } from './connection.ts'
import { respond } from './respond.ts'

/** What may change while it listens. */
export interface AdminSettings {
  /** Without one, rows that need it answer nobody. */
  readonly token?: string | undefined
  /** Names under which the listener may be called, besides addresses, loopback names and `host`. */
  readonly names?: readonly string[]
  readonly rows: readonly AdminRow[]
}

export interface AdminServerOptions extends AdminSettings {
  readonly host: string
  readonly port: number
  readonly newRequestId: () => string
  readonly log: EventLog
}

export interface AdminServer {
  /** @returns the port, which matters where `port` is 0 */
  listen(): Promise<number>
  /** From the next request on. */
  use(settings: AdminSettings): void
  close(): Promise<void>
}

/**
 * The operators' own listener, apart from the one that browsers reach: who can open the application can't even ask here.
 * No CORS header is ever sent, and no cookie is read: no web page can read an answer or act in an operator's name.
 */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const { host, port, newRequestId, log } = options
  let { rows, isOurName, hasToken } = prepare(options)

  function prepare({ token, names = [], rows }: AdminSettings) {
    return {
      rows,
      isOurName: createNameCheck([host, ...names]),
      hasToken: token === undefined ? undefined : createTokenCheck(token),
    }
  }

  async function answer(request: IncomingMessage): Promise<Respond> {
    const [path = '', query = ''] = splitTarget(request.url ?? '')
    const { peer: address } = connectionOf(request.socket)
    const asked = { method: request.method ?? '', path, address, requestId: newRequestId() }
    try {
      const row = findRow(rows, asked)
      if (row.access === 'token') authorize(request)
      const name = path.split('/')[row.path.split('/').indexOf('*')] ?? ''
      return await row.handle({ ...asked, name, parameters: new URLSearchParams(query) })
    } catch (error) {
      return refuse(error, asked)
    }
  }

  function authorize({ headers }: IncomingMessage): void {
    // DNS rebinding: a page whose name was made to point here would be of the same origin as we are. It can't change Host.
    if (!isOurName(headers.host))
      throw new Refusal('misdirected_request', { cause: 'Host is not that of the listener' })
    if (!hasToken) throw new Refusal('admin_off', { cause: 'set admin.token in the configuration' })
    if (hasToken(headers.authorization)) return
    // RFC 6750 §3.1: no error code for who showed no token at all.
    const wrong = headers.authorization === undefined ? '' : ', error="invalid_token"'
    throw new Refusal('admin_token_required', {
      cause: headers.authorization === undefined ? 'no token' : 'a wrong token',
      headers: ['WWW-Authenticate', `Bearer realm="coatcheck admin"${wrong}`],
    })
  }

  function refuse(error: unknown, asked: Omit<AdminRequest, 'name' | 'parameters'>): Respond {
    const { requestId } = asked
    const { code, options, cause } = error instanceof Refusal ? error : new Refusal('internal_error', { cause: error })
    const fields = {
      event: code === 'admin_token_required' ? 'authz_fail' : 'request_refused',
      ...{ code, requestId, address: asked.address },
      method: printable(asked.method, 16),
      path: printable(asked.path, 256),
    }
    if (code === 'internal_error' || code === 'store_unavailable')
      log.error({ ...fields, err: cause }, 'admin listener')
    else log.warn({ ...fields, ...(cause !== undefined && { reason: printable(String(cause)) }) }, 'admin listener')
    return problemResponse(code, {
      requestId,
      ...(options.headers && { headers: options.headers }),
      ...(options.members && { members: options.members }),
    })
  }

  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000 }, (request, response: ServerResponse) => {
    void answer(request).then((given) => respond(request, response, given))
  })

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.removeListener('error', reject)
          resolve((server.address() as AddressInfo).port)
        })
      }),
    use(settings) {
      ;({ rows, isOurName, hasToken } = prepare(settings))
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function splitTarget(target: string): [string, string] {
  const at = target.indexOf('?')
  return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)]
}

/** @throws Refusal `not_found`, or `method_not_allowed` with what is */
function findRow(rows: readonly AdminRow[], { method, path }: { method: string; path: string }): AdminRow {
  const segments = path.split('/')
  const matches = rows.filter((row) => {
    const pattern = row.path.split('/')
    return (
      pattern.length === segments.length &&
      pattern.every((part, at) => (part === '*' ? segments[at] !== '' : part === segments[at]))
    )
  })
  if (matches.length === 0) throw new Refusal('not_found')
  const row = matches.find(({ methods }) => methods.includes(method === 'HEAD' ? 'GET' : method))
  if (row) return row
  const allow = matches.flatMap(({ methods }) => methods.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])))
  throw new Refusal('method_not_allowed', { headers: ['Allow', allow.join(', ')] })
}

/** An address can't be rebound; a name must be one of ours. */
function createNameCheck(names: readonly string[]): (host: string | undefined) => boolean {
  const known = new Set(['localhost', ...names].map((name) => name.toLowerCase()))
  return (host) => {
    const name = /^(\[[^\]]+\]|[^:[\]]+)(?::\d{1,5})?$/.exec(host ?? '')?.[1]?.toLowerCase() ?? ''
    return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || known.has(name)
  }
}

/** In constant time: hashes have one length, whatever was shown. */
function createTokenCheck(token: string): (authorization: string | undefined) => boolean {
  const hashOf = (text: string) => createHash('sha256').update(text).digest()
  const expected = hashOf(token)
  return (authorization) => {
    const shown = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    return timingSafeEqual(hashOf(shown ?? ''), expected) && shown !== undefined
  }
}
