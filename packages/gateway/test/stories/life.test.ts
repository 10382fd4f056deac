import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { type AnotherGateway, createWorld, type World } from '../../../testkit/src/world.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

const minute = 60_000

/** What the model knows of one browser. */
interface Expected {
  readonly name: string
  readonly user: string
  alive: boolean
  /** Milliseconds since the epoch. */
  signedInAt: number
  seenAt: number
}
interface Model {
  readonly browsers: Expected[]
  now: number
}
interface Real {
  readonly world: World
  other: AnotherGateway
}

const idle = 30 * minute
const absolute = 4 * 60 * minute

const isAlive = (one: Expected, now: number) => one.alive && now - one.seenAt < idle && now - one.signedInAt < absolute

abstract class Step implements fc.AsyncCommand<Model, Real> {
  readonly at: number
  constructor(at: number) {
    this.at = at
  }
  check(_: Readonly<Model>): boolean {
    return true
  }
  one(model: Model): Expected {
    return model.browsers[this.at % model.browsers.length] as Expected
  }
  abstract run(model: Model, real: Real): Promise<void>
  toString(): string {
    return `${this.constructor.name}(${this.at})`
  }
}

/** Which gateway: the world's own, or the other one on the same store. */
const call = ({ other }: Real, browser: Browser, second: boolean) =>
  second ? other.fetch(browser, '/api/echo') : browser.fetch('/api/echo')

class SignIn extends Step {
  async run(model: Model, { world }: Real) {
    const one = this.one(model)
    const browser = world.browser(one.name)
    const page = await browser.signIn({ as: one.user })
    // This provider has one grant for a user and a client: the refresh token of a session that ended a moment ago takes the
    // code of the next one along when it is revoked. The person presses the button once more.
    const reason = () => String(world.log.events('authn_login_fail').at(-1)?.reason)
    if (page.status === 400 && reason().includes('invalid_grant'))
      await world.signedIn({ browser: one.name, as: one.user })
    else expect(page.status).toBeLessThan(400)
    Object.assign(one, { alive: true, signedInAt: model.now, seenAt: model.now })
  }
}

class Request extends Step {
  async run(model: Model, real: Real) {
    const one = this.one(model)
    const answer = await call(real, real.world.browser(one.name), this.at % 2 === 1)
    const alive = isAlive(one, model.now)
    expect(answer.status, `${one.name} at ${model.now}`).toBe(alive ? 200 : 401)
    if (alive) one.seenAt = model.now
    else one.alive = false
  }
}

/** Many at once over both gateways, a rotation or an expired token in their midst: all are answered. */
class Burst extends Step {
  async run(model: Model, real: Real) {
    const one = this.one(model)
    const browser = real.world.browser(one.name)
    const alive = isAlive(one, model.now)
    const answers = await Promise.all(Array.from({ length: 8 }, (_, at) => call(real, browser, at % 2 === 1)))
    expect(answers.map(({ status }) => status)).toEqual(new Array(8).fill(alive ? 200 : 401))
    if (!alive) one.alive = false
    else {
      one.seenAt = model.now
      expect((await browser.fetch('/api/echo')).status).toBe(200)
    }
  }
}

/** A sign-out in the midst of requests: they end as they may, and from then on nothing is let in. */
class LogoutInFlight extends Step {
  async run(model: Model, real: Real) {
    const one = this.one(model)
    const browser = real.world.browser(one.name)
    const [copy, racing] = [browser.saved(), browser.saved()]
    const [answer, ...rest] = await Promise.all([
      browser.fetch('/auth/logout', { method: 'POST' }),
      ...[0, 1, 2, 3].map((at) => call(real, racing.saved(), at % 2 === 1)),
    ])
    expect(answer?.status).toBe(200)
    for (const { status } of rest) expect([200, 401]).toContain(status)
    one.alive = false
    for (const second of [false, true]) expect((await call(real, copy.saved(), second)).status).toBe(401)
  }
}

class StepUp extends Step {
  override check(model: Readonly<Model>): boolean {
    return isAlive(this.one(model as Model), model.now)
  }
  async run(model: Model, { world }: Real) {
    const one = this.one(model)
    const browser = world.browser(one.name)
    const before = browser.saved()
    const login = await browser.visit('/auth/step-up?max_age=0', { from: world.origin })
    await browser.submit(login, { button: one.user })
    expect((await before.fetch('/api/echo')).status).toBe(401)
    Object.assign(one, { signedInAt: model.now, seenAt: model.now })
  }
}

/** The user ends all other sessions of the same name. */
class EndOthers extends Step {
  override check(model: Readonly<Model>): boolean {
    return isAlive(this.one(model as Model), model.now)
  }
  async run(model: Model, { world }: Real) {
    const one = this.one(model)
    const answer = await world.browser(one.name).fetch('/auth/sessions?others=1', { method: 'DELETE' })
    expect(answer.status).toBe(204)
    for (const each of model.browsers) if (each !== one && each.user === one.user) each.alive = false
  }
}

class Later extends Step {
  async run(model: Model, { world }: Real) {
    const ms = [minute, 11 * minute, 16 * minute, 31 * minute][this.at % 4] as number
    world.clock.advance(ms)
    model.now += ms
  }
}

/** One of the two is killed and started again: nothing that was acknowledged is lost. */
class Restart extends Step {
  async run(_: Model, real: Real) {
    if (this.at % 2 === 1) {
      await real.other[Symbol.asyncDispose]()
      real.other = await real.world.anotherGateway()
    } else {
      await real.world.stopGateway()
      await real.world.startGateway()
    }
  }
}

test('LO8 RT1 TO1 TO2 TO4 any life of three browsers over two gateways: sign-in, requests, rotation, refresh, step-up, sign-out in flight, ends from elsewhere, time, restarts', async () => {
  const clock = new FakeClock(Date.now())
  const step = (Kind: new (at: number) => Step) => fc.nat(11).map((at) => new Kind(at))
  const commands = fc.commands(
    [SignIn, SignIn, Request, Request, Burst, LogoutInFlight, StepUp, EndOthers, Later, Later, Restart].map(step),
    { maxCommands: 25, size: 'max' },
  )
  // Activity is written once a minute or so: all of it is counted in whole minutes, and every request is one.
  await using world = await createWorld({
    clock,
    store: createMemoryStore({ now: clock.now }),
    provider: { ttl: { accessToken: 600 } },
    config: { session: { idle: '30m', absolute: '4h' } },
  })
  await using real = {
    world,
    other: await world.anotherGateway(),
    [Symbol.asyncDispose]() {
      return this.other[Symbol.asyncDispose]()
    },
  }
  let run = 0
  await fc.assert(
    fc.asyncProperty(commands, async (life) => {
      run++
      const names = ['ada', 'ada', 'bob'].map((user, at) => ({ name: `${user} ${at} of run ${run}`, user }))
      const browsers = names.map((one) => ({ ...one, alive: false, signedInAt: 0, seenAt: 0 }))
      await fc.asyncModelRun(() => ({ model: { browsers, now: clock.now() }, real }), life)
    }),
    { numRuns: Number(process.env.MODEL_RUNS ?? 20) },
  )
  expect(world.log.lines.filter(({ level }) => level === 'error')).toEqual([])
}, 60_000)
