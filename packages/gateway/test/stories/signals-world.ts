import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, type GenerateKeyPairResult, generateKeyPair, SignJWT } from 'jose'
import { expect } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { type ConfigInput, clientOf } from '../../../testkit/src/config.ts'
import { type HostileProvider, startHostileProvider } from '../../../testkit/src/hostile-provider.ts'
import { type EventOptions, startTestTransmitter, type TestTransmitter } from '../../../testkit/src/transmitter.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'

export interface Person {
  readonly sub: string
  readonly sid?: string
  readonly email?: string
  readonly email_verified?: boolean | string
  /** `corp` by default. */
  readonly at?: 'corp' | 'pool'
  readonly [claim: string]: unknown
}

export interface SignalsWorld extends AsyncDisposable {
  readonly world: World
  readonly clock: FakeClock
  /** Two providers at which people sign in; `corp` is the default one. */
  readonly corp: HostileProvider
  readonly pool: HostileProvider
  readonly transmitter: TestTransmitter
  /** A browser of that name, signed in as somebody. */
  signIn(browser: string, person: Person): Promise<Browser>
  /** Is the session of that browser alive? */
  lives(browser: Browser): Promise<boolean>
  /** A token signed by `corp`, made by hand. */
  signed(claims: object, header?: object): Promise<string>
  readonly corpKey: GenerateKeyPairResult
  /** Pushes an event that the transmitter signs. */
  push(claims: Readonly<Record<string, unknown>>, options?: EventOptions): Promise<Response>
  readonly seconds: () => number
}

export const audience = 'https://app.example.com/signals'

/** Two providers, a transmitter that speaks of the users of `corp`, and the means to sign anything. */
export async function createSignalsWorld(
  options: Omit<WorldOptions, 'config'> & {
    /** Laid over the `signals` section. */
    signals?: (parts: { transmitter: TestTransmitter; corp: HostileProvider; pool: HostileProvider }) => ConfigInput
    config?: ConfigInput
  } = {},
): Promise<SignalsWorld> {
  const { signals, config = {}, ...rest } = options
  const clock = rest.clock ?? new FakeClock(Date.now())
  const seconds = () => Math.floor(clock.now() / 1000)
  const start = (name: string) => startHostileProvider({ ...clientOf(name), now: clock.now })
  const [corp, pool, transmitter, corpKey] = await Promise.all([
    start('corp'),
    start('pool'),
    startTestTransmitter({ audience, now: clock.now }),
    generateKeyPair('RS256', { extractable: true }),
  ])
  corp.publish({ ...(await exportJWK(corpKey.publicKey)), kid: 'by-hand', alg: 'RS256', use: 'sig' })
  const world = await createWorld({
    providers: [],
    issuers: { corp: corp.issuer, pool: pool.issuer },
    clock,
    ...rest,
    config: ({ folder }) => {
      for (const [name, secret] of Object.entries({ push: 'push-secret', poll: transmitter.pollToken })) {
        writeFileSync(join(folder, `${name}.secret`), secret, { mode: 0o600 })
      }
      const own = signals?.({ transmitter, corp, pool })
      return { ...config, signals: { transmitter: transmitter.issuer, audience, provider: 'corp', ...own } }
    },
  })

  async function signIn(name: string, { at = 'corp', ...claims }: Person): Promise<Browser> {
    const provider = at === 'corp' ? corp : pool
    provider.twist.claims = claims
    provider.twist.userinfo = { sub: claims.sub, email: undefined }
    const browser = world.browser(name)
    const page = await browser.visit(`/auth/login?provider=${at}`, { from: world.origin, follow: false })
    await browser.visit(provider.authorizeRedirect(page.location ?? ''), { follow: false })
    expect(await lives(browser), `${name} is signed in`).toBe(true)
    return browser
  }

  async function lives(browser: Browser): Promise<boolean> {
    return (await browser.fetch('/api/echo')).status === 200
  }

  return {
    world,
    clock,
    corp,
    pool,
    transmitter,
    signIn,
    lives,
    corpKey,
    seconds,
    async signed(claims, header = {}) {
      const all = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
      return await new SignJWT(all)
        .setProtectedHeader({ alg: 'RS256', kid: 'by-hand', ...header })
        .sign(corpKey.privateKey)
    },
    async push(claims, eventOptions) {
      return await transmitter.push(`${world.origin}/auth/signals`, await transmitter.event(claims, eventOptions))
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await Promise.all([corp.close(), pool.close(), transmitter[Symbol.asyncDispose]()])
    },
  }
}

/** A revocation token as Okta sends it; claims and header are laid over honest ones, undefined removes one. */
export async function revocationToken(given: SignalsWorld, claims: object = {}, header: object = {}): Promise<string> {
  const now = given.seconds()
  const honest = {
    iss: given.corp.issuer,
    sub: clientOf('corp').clientId,
    aud: `${given.world.origin}/auth/global-token-revocation/corp`,
    jti: randomUUID(),
    iat: now,
    nbf: now - 60,
    exp: now + 300,
  }
  return await given.signed({ ...honest, ...claims }, { typ: 'global-token-revocation+jwt', ...header })
}

/** Calls for a revocation, server to server. */
export function revoke(
  world: World,
  token: string | undefined,
  body: unknown,
  options: { name?: string; headers?: Record<string, string> } = {},
): Promise<Response> {
  return fetch(`${world.origin}/auth/global-token-revocation/${options.name ?? 'corp'}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...options.headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}
