import { isIPv6 } from 'node:net'
import type { Config } from '../config/schema.ts'
import type { DescribedSession, Selection } from '../session/all-sessions.ts'

/** Where the command finds sessions. */
export interface SessionsAccess extends AsyncDisposable {
  pages(of: { readonly user: string; readonly iss?: string } | undefined): AsyncIterable<readonly DescribedSession[]>
  /** How many ended. */
  end(selection: Selection): Promise<number>
}

/** Milliseconds until a listener that doesn't answer counts as none. */
const patience = 3_000

/**
 * The admin listener of the running gateway: what is ended there is over at once, revoked at the provider, and logged.
 * Undefined if none is configured, or none answers. Whoever listens at the port gets to see the token only after it has
 * answered as a gateway does.
 */
export async function openOverAdmin(config: Config): Promise<SessionsAccess | undefined> {
  const { admin } = config
  if (admin?.token === undefined || admin.port === 0) return undefined
  const { token } = admin
  const origin = `http://${reachable(admin.host)}:${admin.port}`
  if (!(await answers(origin))) return undefined

  async function ask(method: string, path: string): Promise<Record<string, unknown>> {
    const response = await fetch(origin + path, { method, headers: { authorization: `Bearer ${token}` } })
    const body = (await response.json().catch(() => ({}))) as Record<string, unknown>
    if (response.ok) return body
    if (response.status === 404) return {}
    const why =
      response.status === 401 || response.status === 403
        ? 'it runs with another admin.token'
        : String(body.reason ?? body.title ?? 'it gives no reason')
    throw new Error(`the gateway at ${origin} answered ${response.status}: ${why}`)
  }

  return {
    async *pages(of) {
      const query = new URLSearchParams({ limit: '500', ...of })
      for (;;) {
        const { sessions, cursor } = await ask('GET', `/api/sessions?${query}`)
        yield sessions as DescribedSession[]
        if (typeof cursor !== 'string') return
        query.set('cursor', cursor)
      }
    },
    async end(selection) {
      const { ended } = await ask('DELETE', pathOf(selection))
      return typeof ended === 'number' ? ended : 0
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

function pathOf(selection: Selection): string {
  if ('handle' in selection) return `/api/sessions/${encodeURIComponent(selection.handle)}`
  if ('all' in selection) return '/api/sessions?all=1'
  return `/api/sessions?${new URLSearchParams({ ...selection })}`
}

async function answers(origin: string): Promise<boolean> {
  try {
    const response = await fetch(`${origin}/healthz`, { signal: AbortSignal.timeout(patience), redirect: 'error' })
    return response.ok && ((await response.json()) as { status?: unknown } | null)?.status === 'ok'
  } catch {
    return false
  }
}

/** What listens on all addresses is asked at the loopback one. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return isIPv6(host) ? `[${host}]` : host
}
