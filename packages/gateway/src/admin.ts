import type { AdminRow } from './admin-endpoint.ts'
import { createAdminUsers } from './identity/admin-users.ts'
import { createAllUsers } from './identity/all-users.ts'
import { json } from './protocol/json-response.ts'
import type { Services } from './services.ts'
import { createAdminSessions } from './session/admin-sessions.ts'
import { createAllSessions } from './session/all-sessions.ts'
import type { Metrics } from './watch/metrics.ts'

export interface Readiness {
  readonly ok: boolean
  /** What was asked and what it said: `{ store: 'ok' }`. */
  readonly checks: Readonly<Record<string, string>>
}

/** The operators' own endpoints: one row each. What needs a token can see or end other people's sessions. */
export function adminRows(
  services: Pick<Services, 'config' | 'log' | 'now' | 'ring' | 'sessions' | 'store'>,
  parts: { metrics: Pick<Metrics, 'contentType' | 'text'>; ready: () => Promise<Readiness> },
): readonly AdminRow[] {
  const { log } = services
  const { metrics, ready } = parts
  const sessions = createAdminSessions({ ...services, all: createAllSessions(services) })
  const users = createAdminUsers({ log, all: createAllUsers({ ...services, users: services.store.users }) })

  /** The process runs. */
  const health = async () => json(200, { status: 'ok' })

  /** It can serve. */
  const readiness = async () => {
    try {
      const { ok, checks } = await ready()
      return json(ok ? 200 : 503, { status: ok ? 'ok' : 'unavailable', checks })
    } catch (err) {
      log.error({ err }, 'readiness could not be told')
      return json(503, { status: 'unavailable', checks: {} })
    }
  }

  const exposition = async () => {
    const answer = json(200, {})
    const headers = ['Content-Type', metrics.contentType, ...answer.headers.slice(2)]
    return { ...answer, headers, body: await metrics.text() }
  }

  // biome-ignore format: one row each, read at a glance
  return [
    { path: '/healthz',             methods: ['GET'],    access: 'open',  handle: health },
    { path: '/readyz',              methods: ['GET'],    access: 'open',  handle: readiness },
    { path: '/metrics',             methods: ['GET'],    access: 'token', handle: exposition },
    { path: '/api/sessions',        methods: ['GET'],    access: 'token', handle: sessions.list },
    { path: '/api/sessions',        methods: ['DELETE'], access: 'token', handle: sessions.endMany },
    { path: '/api/sessions/*',      methods: ['DELETE'], access: 'token', handle: sessions.endOne },
    { path: '/api/users',           methods: ['GET'],    access: 'token', handle: users.list },
    { path: '/api/users/*',         methods: ['GET'],    access: 'token', handle: users.show },
    { path: '/api/users/*',         methods: ['DELETE'], access: 'token', handle: users.forget },
    { path: '/api/users/*/disable', methods: ['POST'],   access: 'token', handle: users.disable },
    { path: '/api/users/*/enable',  methods: ['POST'],   access: 'token', handle: users.enable },
  ]
}
