import { createServer } from 'node:http'
import { closeServer, listen } from './listen.ts'

export interface OktaGroups extends AsyncDisposable {
  readonly origin: string
  /** Names of groups by user id; somebody who is not here is 404. */
  readonly groups: Map<string, string[]>
  /** What it does wrong from now on. */
  readonly fault: {
    status?: number
    /** Instead of the address of the next page. */
    next?: string
    /** A body instead of the list. */
    body?: string
    /** Says nothing until the client gives up. */
    hang?: boolean
  }
  /** Path with query, and how the caller authenticated, of each request. */
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[]
}

/**
 * Okta's `GET /api/v1/users/{id}/groups`, as far as it matters: `limit` up to 200, pages by `after` in a Link header beside
 * the one of `self`, SSWS tokens and bearer tokens, and errors in Okta's form.
 */
export async function startOktaGroups(options: { accepts: (authorization: string) => boolean }): Promise<OktaGroups> {
  const groups = new Map<string, string[]>()
  const fault: OktaGroups['fault'] = {}
  const requests: { path: string; authorization: string | undefined }[] = []
  let origin = ''

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', origin)
    const { authorization } = request.headers
    requests.push({ path: url.pathname + url.search, authorization })
    if (fault.hang) return
    const say = (status: number, body: unknown, headers: Record<string, string | string[]> = {}) =>
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(typeof body === 'string' ? body : JSON.stringify(body))
    const refuse = (status: number, errorCode: string) => say(status, { errorCode, errorSummary: 'refused' })
    if (fault.status !== undefined) return void refuse(fault.status, 'E0000009')
    if (!options.accepts(authorization ?? '')) return void refuse(401, 'E0000011')
    const [, id] = /^\/api\/v1\/users\/([^/]+)\/groups$/.exec(url.pathname) ?? []
    const names = groups.get(id ?? '')
    if (names === undefined) return void refuse(404, 'E0000007')
    const limit = Math.min(200, Number(url.searchParams.get('limit') ?? 200))
    const from = Number(url.searchParams.get('after') ?? 0)
    const page = names.slice(from, from + limit)
    const link = [`<${url.href}>; rel="self"`]
    const next = new URL(url)
    next.searchParams.set('after', String(from + limit))
    if (from + limit < names.length) link.push(`<${fault.next ?? next.href}>; rel="next"`)
    const list = page.map((name, at) => ({
      id: `00g${from + at}`,
      type: 'OKTA_GROUP',
      profile: { name, description: null },
    }))
    say(200, fault.body ?? list, { link })
  })
  origin = `http://127.0.0.1:${await listen(server)}`
  return { origin, groups, fault, requests, [Symbol.asyncDispose]: () => closeServer(server) }
}
