import type fc from 'fast-check'
import { FakeClock } from '../../../../testkit/src/clock.ts'
import { createTokenRefresh, type RefreshTokens } from '../../../src/oidc/token-refresh.ts'
import { newRingKey } from '../../../src/session/key-file.ts'
import { createKeyRing } from '../../../src/session/key-ring.ts'
import { createSessions, type Sessions } from '../../../src/session/sessions.ts'
import type { SessionStore } from '../../../src/session/store.ts'
import { createMemoryStore } from '../../../src/stores/memory.ts'
import { ModelProvider, type Rotation } from './provider.ts'

export const timeouts = { idle: 30 * 60_000, absolute: 4 * 3600_000, rotate: 15 * 60_000, grace: 30_000 }

/** One gateway process: its caches and what it has under way die with it. */
export interface Node {
  readonly sessions: Sessions
  readonly refreshTokens: RefreshTokens
  crashed: boolean
  /** Refreshes under way: a crash may take the only copy of a rotated token with it. */
  refreshing: number
}

/**
 * Two gateways on one store and one provider, in which nothing happens by itself: every request to the store and to the
 * provider, and every answer of theirs, waits until the scheduler lets it through, in an order that fast-check chooses.
 */
export class Nodes {
  readonly clock = new FakeClock(Date.UTC(2026, 0, 1))
  readonly store: SessionStore = createMemoryStore({ now: this.clock.now })
  readonly provider: ModelProvider
  readonly alerts: string[] = []
  readonly faults: unknown[] = []
  readonly #scheduler: fc.Scheduler
  readonly #ring = createKeyRing([newRingKey(0)])
  readonly #nodes: Node[]

  constructor(scheduler: fc.Scheduler, rotation: Rotation) {
    this.#scheduler = scheduler
    this.provider = new ModelProvider(rotation, this.clock.now)
    this.#nodes = [this.#start(), this.#start()]
  }

  node(at: number): Node {
    return this.#nodes[at % 2] as Node
  }

  /** What this process had under way is gone, its caches with it; another one starts in its place. */
  crash(at: number): void {
    const node = this.node(at)
    node.crashed = true
    if (node.refreshing > 0) for (const grant of this.provider.grants) grant.unlucky = true
    this.#nodes[at % 2] = this.#start()
  }

  #start(): Node {
    const node = { crashed: false, refreshing: 0 } as { -readonly [Name in keyof Node]: Node[Name] }
    const pause = async (what: string) => {
      await this.#scheduler.schedule(Promise.resolve(), what)
      // A process that has crashed sends nothing more, and hears nothing any more.
      if (node.crashed) await new Promise(() => {})
    }
    const store = pausing(this.store, pause)
    node.sessions = createSessions({
      store,
      ring: this.#ring,
      timeouts,
      now: this.clock.now,
      rolesOf: () => [],
      onEvent: ({ event }) => {
        if (event === 'session_cookie_reused') this.alerts.push(event)
      },
      onFault: (fault) => this.faults.push(fault),
    })
    const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
    const revocation = { revoke: () => {} } as never
    const directory = { isDisabled: async () => false, refreshed: async () => {} }
    const providers = new Map([['model', this.provider.client(pause)]])
    const refresh = createTokenRefresh(
      { directory, log: quiet, now: this.clock.now, providers, sessions: node.sessions, revocation },
      { sleep: () => pause('waits for the other'), patience: 200 },
    )
    node.refreshTokens = async (session, cookie) => {
      node.refreshing++
      try {
        return await refresh(session, cookie)
      } finally {
        node.refreshing--
      }
    }
    return node
  }
}

/** The store as a process sees it over a network: each call takes time on its way there, and on its way back. */
function pausing(store: SessionStore, pause: (what: string) => Promise<void>): SessionStore {
  const around =
    <Args extends unknown[], Result>(name: string, call: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      await pause(name)
      const result = await call(...args)
      await pause(`${name} answered`)
      return result
    }
  return {
    ...store,
    get: around('get', store.get),
    put: around('put', store.put),
    end: around('end', store.end),
    find: around('find', store.find),
  }
}
