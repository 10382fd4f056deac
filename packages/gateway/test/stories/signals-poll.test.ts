import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { jwtStart } from '../../../testkit/src/chance.ts'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { caep, ssf } from '../../../testkit/src/transmitter.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createSignalsWorld } from './signals-world.ts'

const revoked = { [`${caep}session-revoked`]: {} }
const opaque = (id: string) => ({ format: 'opaque', id })

const pollWorld = (options: Parameters<typeof createSignalsWorld>[0] = {}) =>
  createSignalsWorld({
    ...options,
    signals: ({ transmitter }) => ({
      poll: { url: transmitter.pollUrl, token: { file: 'poll.secret' }, interval: '1s' },
    }),
  })

test('SS2 peers 8: events that are fetched end sessions, and are acknowledged when these have ended', async () => {
  await using given = await pollWorld()
  const { transmitter, signIn, lives, world } = given
  const browser = await signIn('ada', { sub: 'ada' })
  const { end } = world.store
  let ended = false
  world.store.end = async (tombstone) => {
    await sleep(50)
    expect(transmitter.acknowledged.size).toBe(0)
    ended = await end.call(world.store, tombstone)
    return ended
  }
  const jti = await transmitter.queue({ sub_id: opaque('ada'), events: revoked })
  await expect.poll(() => [...transmitter.acknowledged]).toEqual([jti])
  expect(ended).toBe(true)
  expect(await lives(browser)).toBe(false)
  expect(transmitter.polls.every((poll) => poll.returnImmediately === true)).toBe(true)
})

test('SS4 an event that is refused is reported by setErrs, under its jti, and the others go on', async () => {
  await using given = await pollWorld()
  const { transmitter, signIn, lives, world } = given
  const browser = await signIn('ada', { sub: 'ada', sid: 's-1' })
  transmitter.twist.holdsBack = true
  const expected = {
    [await transmitter.queue({ events: revoked })]: 'invalid_request',
    [await transmitter.queue({ sub_id: opaque('s-1'), events: revoked }, { signature: 'none' })]: 'invalid_key',
    [await transmitter.queue({ sub_id: opaque('s-1'), events: revoked, iss: 'https://evil.test' })]: 'invalid_issuer',
    [await transmitter.queue({ sub_id: opaque('s-1'), events: revoked, aud: 'x' })]: 'invalid_audience',
    [await transmitter.queue({ sub_id: opaque('x'), events: { [`${ssf}verification`]: { state: 'x' } } })]:
      'invalid_state',
  }
  transmitter.queueRaw('no-text', { a: 1 })
  transmitter.queueRaw('no-token', 'abc')
  transmitter.queueRaw('of-another', await transmitter.event({ sub_id: opaque('s-1'), events: revoked }))
  for (const jti of ['no-text', 'no-token', 'of-another']) expected[jti] = 'invalid_request'
  const other = await transmitter.queue({ sub_id: opaque('nobody'), events: revoked })
  delete transmitter.twist.holdsBack
  await expect.poll(() => transmitter.queued.size).toBe(0)
  expect(Object.fromEntries([...transmitter.refused].map(([jti, { err }]) => [jti, err]))).toEqual(expected)
  expect([...transmitter.acknowledged]).toEqual([other])
  expect(await lives(browser)).toBe(true)
  expect(world.log.events('signal_refused')).toHaveLength(Object.keys(expected).length)
  expect(world.log.text()).not.toMatch(jwtStart)
  expect(world.log.text()).not.toContain('poll-token')
})

test('SS4 moreAvailable: everything is fetched in one go; a transmitter that only says so is not asked for ever', async () => {
  await using given = await pollWorld()
  const { transmitter } = given
  transmitter.twist.holdsBack = true
  for (let n = 0; n < 120; n++) await transmitter.queue({ sub_id: opaque('nobody'), events: revoked })
  const before = transmitter.polls.length
  await sleep(2_500)
  expect(transmitter.polls.length - before).toBeLessThan(6)
  delete transmitter.twist.holdsBack
  await expect.poll(() => transmitter.acknowledged.size).toBe(120)
  const carrying = transmitter.polls.filter((poll) => (poll.ack?.length ?? 0) > 0)
  expect(carrying.map((poll) => poll.ack?.length)).toEqual([50, 50, 20])
})

test('SS4 an event that could not be carried out is not acknowledged, and comes again', async () => {
  await using given = await pollWorld()
  const { transmitter, signIn, lives, world } = given
  const browser = await signIn('ada', { sub: 'ada' })
  const { end } = world.store
  world.store.end = () => Promise.reject(new Error('the store is broken'))
  const jti = await transmitter.queue({ sub_id: opaque('ada'), events: revoked })
  await expect.poll(() => world.log.events('signal_poll_failed').length).toBeGreaterThan(0)
  expect(transmitter.acknowledged.size + transmitter.refused.size).toBe(0)
  expect(await lives(browser)).toBe(true)
  world.store.end = end
  await expect.poll(() => [...transmitter.acknowledged]).toEqual([jti])
  expect(await lives(browser)).toBe(false)
})

test('SS4 acknowledgements that were lost are told again; what is not heeded is done once', async () => {
  await using given = await pollWorld()
  const { transmitter, signIn, lives } = given
  await signIn('first', { sub: 'ada' })
  transmitter.twist.forgetsAcks = true
  const jti = await transmitter.queue({ sub_id: opaque('ada'), events: revoked })
  const told = () => transmitter.polls.filter((poll) => poll.ack?.includes(jti)).length
  await expect.poll(told).toBeGreaterThan(1)
  const again = await signIn('again', { sub: 'ada' })
  const before = told()
  await expect.poll(told).toBeGreaterThan(before + 1)
  expect(await lives(again)).toBe(true)
  delete transmitter.twist.forgetsAcks
  await expect.poll(() => [...transmitter.acknowledged]).toEqual([jti])
})

test('SS4 a transmitter that is down at the start is asked again until it is there', async () => {
  await using given = await pollWorld()
  const { transmitter, world } = given
  await world.stopGateway()
  await transmitter.down()
  await world.startGateway()
  await expect.poll(() => world.log.events('signal_poll_failed').length).toBeGreaterThan(0)
  await transmitter.up()
  const jti = await transmitter.queue({ sub_id: opaque('nobody'), events: revoked })
  await expect.poll(() => [...transmitter.acknowledged]).toEqual([jti])
})

test('SS4 one process polls, of all that share the store; when it stops, another takes over', async () => {
  const clock = new FakeClock(Date.now())
  const store = createMemoryStore({ now: clock.now })
  const { claim } = store
  let refused = 0
  store.claim = async (key, until) => {
    const won = await claim(key, until)
    if (key.startsWith('lease:signals-poll:') && !won) refused++
    return won
  }
  await using given = await pollWorld({ clock, store })
  const { transmitter, world } = given
  await expect.poll(() => transmitter.polls.length).toBeGreaterThan(0)
  await using _ = await world.anotherGateway()
  await expect.poll(() => refused).toBeGreaterThan(1)
  const first = await transmitter.queue({ sub_id: opaque('nobody'), events: revoked })
  await expect.poll(() => [...transmitter.acknowledged]).toEqual([first])
  expect(transmitter.polls.filter((poll) => poll.ack?.includes(first))).toHaveLength(1)
  await world.stopGateway()
  const second = await transmitter.queue({ sub_id: opaque('nobody'), events: revoked })
  await expect.poll(() => [...transmitter.acknowledged]).toEqual([first, second])
  await world.startGateway()
})

test('SS4 stopping waits for no answer, and leaves the poll to others at once', async () => {
  await using given = await pollWorld()
  const { transmitter, world } = given
  transmitter.twist.stallsPolls = true
  await expect.poll(() => transmitter.stalledPolls).toBeGreaterThan(0)
  const stopped = world.stopGateway().then(() => 'stopped')
  // The answer itself would be waited for twice as long.
  expect(await Promise.race([stopped, sleep(5_000, 'still waiting', { ref: false })])).toBe('stopped')
  delete transmitter.twist.stallsPolls
  await world.startGateway()
  await expect.poll(() => transmitter.polls.length).toBeGreaterThan(0)
})
