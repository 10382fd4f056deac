import { type MockInstance, vi } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import { type HostileProvider, startHostileProvider, type Twists } from '../../../testkit/src/hostile-provider.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'

/** The gateway waits ten seconds for a provider; from now on a fiftieth of that, until the mock is restored. */
export function hurry(): MockInstance {
  const usual = globalThis.setTimeout
  const hurried = (run: () => void, ms?: number, ...rest: []) => usual(run, ms === 10_000 ? 200 : ms, ...rest)
  return vi.spyOn(globalThis, 'setTimeout').mockImplementation(hurried as typeof setTimeout)
}

export interface HostileWorld extends AsyncDisposable {
  readonly world: World
  readonly provider: HostileProvider
  readonly clock: FakeClock
  /** What the provider does wrong from now on, and nothing else. */
  twist(twist: Partial<Twists>): void
  /** A whole sign-in by a fresh browser of that name: the page where it ended. */
  signIn(browser?: string): Promise<Page>
}

/** A world with a provider, named `evil`, every answer of which can be twisted; and others if asked for. */
export async function createHostileWorld(options: WorldOptions & { secret?: string } = {}): Promise<HostileWorld> {
  const { secret, ...rest } = options
  const clock = new FakeClock(Date.now())
  const client = clientOf('evil')
  const provider = await startHostileProvider({
    clientId: client.clientId,
    clientSecret: secret ?? client.clientSecret,
    now: clock.now,
  })
  const world = await createWorld({ providers: [], issuers: { evil: provider.issuer }, clock, ...rest })
  let browsers = 0
  return {
    world,
    provider,
    clock,
    twist(twist) {
      for (const name of Object.keys(provider.twist)) delete provider.twist[name as keyof Twists]
      Object.assign(provider.twist, twist)
    },
    signIn(browser = `browser ${browsers++}`) {
      return world.browser(browser).visit('/auth/login?provider=evil', { from: world.origin })
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await provider.close()
    },
  }
}
