import { isIPv6 } from 'node:net'
import type { Config } from '../config/schema.ts'

/** Asks the admin listener of the running gateway; an answer of 404 is `{}`. @throws Error that says why it refused */
export type AskAdmin = (method: string, path: string) => Promise<Record<string, unknown>>

/** Milliseconds until a listener that doesn't answer counts as none. */
const patience = 3_000

/**
 * Undefined if no admin listener is configured, or none answers. Whoever listens at the port gets to see the token only after
 * it has answered as a gateway does.
 */
export async function openAdmin(config: Config): Promise<AskAdmin | undefined> {
  const { admin } = config
  if (admin?.token === undefined || admin.port === 0) return undefined
  const { token } = admin
  const origin = `http://${reachable(admin.host)}:${admin.port}`
  if (!(await answers(origin))) return undefined

  return async (method, path) => {
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
