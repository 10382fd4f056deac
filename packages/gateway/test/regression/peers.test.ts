import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { registrationOf } from '../../../testkit/src/config.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { startTestProvider } from '../../../testkit/src/provider.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { rotateKeyFile } from '../../src/session/key-rotation.ts'
import type { SessionId, StoredSession } from '../../src/session/store.ts'

const minute = 60_000
const hour = 60 * minute
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** `coatcheck keys rotate` on the ring of a running world; the id of the new key. */
function rotateKeys(world: World): string {
  const args = [main, 'keys', 'rotate', '--json', '--file', join(world.folder, 'coatcheck.keys')]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })).added.id
}

/** Under which key of the ring a stored session lies. */
async function sealedUnder(world: World, cookie: string | undefined): Promise<string> {
  const stored = (await world.store.get(cookie?.split('.')[1] as SessionId)) as StoredSession
  const { bytes } = stored
  return Buffer.from(bytes.subarray(2, 2 + (bytes[1] as number))).toString('latin1')
}

/**
 * oauth2-proxy #1893, #1684: the session lives in the cookie or under a random key of the store, with no way from a user
 * to their sessions; a lost laptop stays signed in until its cookie expires.
 */
test('peers 8: a user’s sessions can be found and ended: one of them, all others, all; on every node, and nobody else’s', async () => {
  await using world = await createWorld()
  await using node = await world.anotherGateway()
  const [desk, phone, tablet] = [
    await world.signedIn({ browser: 'desk' }),
    await world.signedIn({ browser: 'phone' }),
    await world.signedIn({ browser: 'tablet' }),
  ]
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  const alive = async () => {
    const browsers = { desk, phone, tablet, bob }
    const answers = Object.entries(browsers).map(async ([name, browser]) => {
      const statuses = [(await browser.fetch('/api/echo')).status, (await node.fetch(browser, '/api/echo')).status]
      expect(new Set(statuses).size, name).toBe(1)
      return statuses[0] === 200 ? [name] : []
    })
    return (await Promise.all(answers)).flat()
  }
  expect(await alive()).toEqual(['desk', 'phone', 'tablet', 'bob'])

  const listOf = async (browser: typeof desk) =>
    (await browser.fetch('/auth/sessions')).json<{ sessions: { id: string; current: boolean }[] }>().sessions
  expect(await listOf(desk)).toHaveLength(3)
  const tabletId = (await listOf(tablet)).find(({ current }) => current)?.id
  expect((await desk.fetch(`/auth/sessions/${tabletId}`, { method: 'DELETE' })).status).toBe(204)
  expect(await alive()).toEqual(['desk', 'phone', 'bob'])
  expect((await desk.fetch('/auth/sessions?others=1', { method: 'DELETE' })).status).toBe(204)
  expect(await alive()).toEqual(['desk', 'bob'])
  await world.signedIn({ browser: 'phone' })
  expect((await desk.fetch('/auth/logout?everywhere=1', { method: 'POST' })).status).toBe(200)
  expect(await alive()).toEqual(['bob'])
})

/**
 * oauth2-proxy #963: the one cookie secret seals everything; a new one signs everybody out, so nobody changes it. Envoy
 * #39210: the same with the HMAC secret.
 */
test('peers 11 ST2: the key ring rotates while the gateway runs: nobody is signed out, no sign-in under way fails, other nodes follow', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  await using node = await world.anotherGateway()
  const ada = await world.signedIn()
  const idOf = async (page: Promise<Page>) => (await page).json<{ sessions: { id: string }[] }>().sessions[0]?.id
  const listed = await idOf(ada.fetch('/auth/sessions'))
  const callback = await world.browser('eve').callbackFor({ as: 'eve' })
  const fresh = rotateKeys(world)

  expect((await ada.fetch('/api/echo')).status).toBe(200)
  const landing = await world.browser('eve').visit(callback, { from: world.provider.issuer })
  expect([landing.status, landing.url]).toEqual([200, `${world.origin}/`])
  // A session that this node seals under the new key opens on the other, which has not heard of it yet.
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  expect(await sealedUnder(world, bob.cookies()[0]?.value)).toBe(fresh)
  expect((await node.fetch(bob, '/api/echo')).status).toBe(200)
  expect((await node.fetch(ada, '/api/echo')).status).toBe(200)
  // A session keeps its name in lists and logs.
  expect(await idOf(ada.fetch('/auth/sessions'))).toBe(listed)
  expect(await idOf(node.fetch(ada, '/auth/sessions'))).toBe(listed)
  expect(world.log.events('keys_changed').length).toBeGreaterThan(0)

  // What is used is sealed anew: a day later the old key may go, and is gone.
  for (let turn = 0; turn < 3; turn++) {
    world.clock.advance(16 * minute)
    expect((await ada.fetch('/api/echo')).status).toBe(200)
  }
  await expect.poll(() => sealedUnder(world, ada.cookies()[0]?.value)).toBe(fresh)
  const ring = join(world.folder, 'coatcheck.keys')
  const { retired } = rotateKeyFile(ring, { now: Date.now() + 14 * hour, retire: { absolute: 12 * hour } })
  expect(retired).toHaveLength(1)
  expect((await ada.fetch('/api/echo')).status).toBe(200)
  await world.stopGateway()
  await world.startGateway()
  expect((await ada.fetch('/api/echo')).status).toBe(200)
})

test('peers 11 ST2: a ring that can not be right (broken, another one, readable by others) is refused, and the old keys serve on', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn()
  const ring = join(world.folder, 'coatcheck.keys')
  const good = readFileSync(ring, 'utf8')
  const foreign = JSON.stringify({
    version: 1,
    keys: [{ id: 'another', createdAt: '', key: Buffer.alloc(32, 7).toString('base64url') }],
  })
  for (const bad of ['', '{', foreign]) {
    writeFileSync(ring, bad)
    const bob = await world.signedIn({ browser: `bob ${bad.length}`, as: 'bob' })
    expect((await bob.fetch('/api/echo')).status).toBe(200)
    expect((await ada.fetch('/api/echo')).status).toBe(200)
  }
  expect(world.log.events('keys_refused')).toHaveLength(3)
  writeFileSync(ring, good)
  const fresh = rotateKeys(world)
  const eve = await world.signedIn({ browser: 'eve', as: 'eve' })
  expect(await sealedUnder(world, eve.cookies()[0]?.value)).toBe(fresh)
  expect((await ada.fetch('/api/echo')).status).toBe(200)
  for (const { key } of JSON.parse(readFileSync(ring, 'utf8')).keys)
    expect(JSON.stringify(world.log.lines)).not.toContain(key)
})

/** oauth2-proxy #963 once more: where the sealing key is made of the client secret, a new secret ends every session. */
test('peers 11: a new client secret, at the provider and here, ends no session: it refreshes with the new one', async () => {
  const clients: ReturnType<typeof registrationOf>[] = []
  const clock = new FakeClock(Date.now())
  await using provider = await startTestProvider({ clients, now: clock.now })
  await using world = await createWorld({ providers: [], issuers: { corp: provider.issuer }, store: 'lmdb', clock })
  clients.push(registrationOf('corp', world.origin))
  await provider.rotateKeys({ keepOld: true })
  const ada = await world.signedIn()
  const clientSecret = 'the-new-secret-0123456789abcdef01234567'
  clients.splice(0, 1, { ...registrationOf('corp', world.origin), clientSecret })
  await provider.rotateKeys({ keepOld: true })
  await world.stopGateway()
  writeFileSync(join(world.folder, 'client-secret'), clientSecret, { mode: 0o600 })
  await world.startGateway({ providers: { corp: { clientSecret: { env: undefined, file: 'client-secret' } } } })
  expect((await ada.fetch('/api/echo')).status).toBe(200)
  const before = provider.tokenRequests
  for (let turn = 0; turn < 4; turn++) {
    clock.advance(20 * minute)
    expect((await ada.fetch('/api/echo')).status).toBe(200)
  }
  expect(provider.tokenRequests).toBeGreaterThan(before)
})

/**
 * oauth2-proxy #1156: one setting is read as idle timeout by some code and as lifetime by other, so active users are thrown
 * out or idle ones never are. Duende Support #1342: the session slides on although its refresh token is dead.
 */
test('peers 12: idle runs from the last request and absolute from the sign-in; neither is the other, and no refresh moves absolute', async () => {
  await using world = await createWorld({ config: { session: { idle: '10m', absolute: '90m' } } })
  const busy = await world.signedIn({ browser: 'busy' })
  const quiet = await world.signedIn({ browser: 'quiet', as: 'bob' })
  const ends = async () => (await busy.fetch('/auth/session')).json<{ expiresAt: string; idleExpiresAt: string }>()
  const { expiresAt } = await ends()
  const before = world.provider.tokenRequests
  for (let at = 9; at < 90; at += 9) {
    world.clock.advance(9 * minute)
    expect([at, (await busy.fetch('/api/echo')).status]).toEqual([at, 200])
    if (at === 18) expect((await quiet.fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })
    const now = await ends()
    expect(now.expiresAt).toBe(expiresAt)
    const idle = Math.min(world.clock.now() + 10 * minute, Date.parse(expiresAt))
    expect(Date.parse(now.idleExpiresAt)).toBe(idle)
  }
  expect(world.provider.tokenRequests).toBeGreaterThan(before)
  world.clock.advance(9 * minute)
  expect((await busy.fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })
  expect(world.log.events('session_ended').map(({ reason }) => reason)).toEqual(['idle', 'absolute'])
})

/** oathkeeper #877: an event stream is cut by the proxy's write timeout. oauth2-proxy #1125: it is buffered until its end. */
test('peers 14: an event stream goes through event by event, as it is written, and outlives every timeout of the route', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', timeout: '1s' },
        { path: '/', static: './public', access: 'public' },
      ],
    }),
  })
  const ada = await world.signedIn()
  const stream = await ada.stream('/api/sse?ms=1200&events=3')
  expect(stream.status).toBe(200)
  for (const n of [1, 2, 3]) {
    expect(String((await stream.chunks.next()).value)).toContain(`data: event ${n}\n\n`)
    // The upstream has not finished: nothing waited for the end.
    if (n < 3) expect(world.upstream.open).toBe(1)
  }
  expect((await stream.chunks.next()).done).toBe(true)
})
