import { expect, test, vi } from 'vitest'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { startSecondProcess } from '../stories/second-gateway.ts'
import { liveWorld, openSocket, openStream, startSocketUpstream } from '../stories/sockets.ts'
import { type Described, isLive } from '../stories/users-world.ts'
import { coatcheck } from './built-command.ts'

/** Each run of the command is a process of its own. */
vi.setConfig({ testTimeout: 60_000 })

const listed = async (world: World, ...args: string[]) => {
  const { status, out, err } = await coatcheck(world, 'users', 'list', '--json', ...args)
  expect([status, err]).toEqual([0, ''])
  return (JSON.parse(out) as { users: Described[] }).users
}

test('over the admin listener: a table to read, JSON to process; one is disabled, enabled, forgotten', async () => {
  await using world = await createWorld()
  expect((await coatcheck(world, 'users', 'list')).out).toBe('no users\n')
  expect(await listed(world)).toEqual([])
  await world.signedIn({ browser: 'ada' })
  await world.signedIn({ browser: 'bob', as: 'bob' })
  const [head, ...rows] = (await coatcheck(world, 'users', 'list')).out.trimEnd().split('\n')
  expect(head).toMatch(/^ID +USER +PROVIDER +FIRST LOGIN +LAST LOGIN +ROLES +STATE$/)
  expect(rows.map((row) => row.split(/ {2,}/).slice(1, 3).join(' ')).sort()).toEqual(['ada corp', 'bob corp'])
  expect(rows.every((row) => row.endsWith('enabled'))).toBe(true)

  const [bob] = await listed(world, '--email', 'bob@example.com')
  const id = bob?.id ?? ''
  const disabled = await coatcheck(world, 'users', 'disable', id, '--reason', 'asked to')
  expect(disabled).toEqual({ status: 0, out: `${id} is disabled, 1 session ended\n`, err: '' })
  expect(await isLive(world, 'bob')).toBe(false)
  expect(await listed(world, '--user', 'bob')).toMatchObject([{ disabled: true, disabledReason: 'asked to' }])
  expect((await world.browser('bob').signIn({ as: 'bob' })).status).toBe(403)
  const kept = await coatcheck(world, 'users', 'forget', id)
  expect([kept.status, kept.out]).toEqual([1, ''])
  expect(kept.err).toMatch(/enable the user first\n$/)
  const enabled = await coatcheck(world, 'users', 'enable', '--user', 'bob', '--json')
  expect([enabled.status, JSON.parse(enabled.out)]).toEqual([0, { id, enabled: true, ended: 0 }])
  await world.signedIn({ browser: 'bob', as: 'bob' })
  expect((await coatcheck(world, 'users', 'forget', id)).out).toBe(`${id} is forgotten, 1 session ended\n`)
  const again = await coatcheck(world, 'users', 'forget', id)
  expect([again.status, again.err]).toEqual([1, expect.stringMatching(/no such user.*coatcheck users list\n$/)])
  expect((await coatcheck(world, 'users', 'disable', '--user', 'nobody')).status).toBe(1)
})

test('one name at two providers is two users: neither is disabled by chance', async () => {
  await using world = await createWorld({ providers: ['corp', 'partner'] })
  await world.signedIn({ browser: 'one' })
  await world.signedIn({ browser: 'two', provider: 'partner' })
  const both = await coatcheck(world, 'users', 'disable', '--user', 'ada')
  expect([both.status, both.out]).toEqual([1, ''])
  expect(both.err).toMatch(/there are 2 such users; write one of [\w-]{22}, [\w-]{22}\n$/)
  const partner = world.providerNamed('partner').issuer
  expect((await coatcheck(world, 'users', 'disable', '--user', 'ada', '--iss', partner)).status).toBe(0)
  expect([await isLive(world, 'one'), await isLive(world, 'two')]).toEqual([true, false])
})

test('LO1 directly on the store: two gateways on it end the user’s requests, WebSockets and event streams within a second, and let nobody in again', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { store: 'lmdb' })
  await world.stopGateway()
  await world.startGateway({ admin: undefined })
  await using second = await startSecondProcess(world)
  const ada = await world.signedIn({ browser: 'ada' })
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  const here = await openSocket(world, ada)
  const there = await openSocket(world, ada, '/live', { at: second.url })
  using other = await openSocket(world, bob, '/live', { at: second.url })
  const events = await openStream(ada, '/auth/events', { at: second.url })
  await expect.poll(() => events.text).toContain('retry')

  const [user] = await listed(world, '--user', 'ada')
  const done = await coatcheck(world, 'users', 'disable', user?.id ?? '')
  const told = performance.now()
  expect([done.status, done.err]).toEqual([0, ''])
  expect(await here.closed).toEqual({ code: 4401, reason: 'session_expired' })
  expect(await there.closed).toEqual({ code: 4401, reason: 'session_expired' })
  await expect.poll(() => events.end).toBe('whole')
  // "Within one second" on an idle machine; a loaded one gets more.
  expect(performance.now() - told).toBeLessThan(5_000)
  expect(events.text).toContain('event: ended\ndata: {"reason":"revoked"}\n\n')
  expect(await isLive(world, 'ada')).toBe(false)
  expect((await ada.through(second.url).fetch('/api/echo')).status).toBe(401)
  expect((await ada.signIn({ as: 'ada' })).status).toBe(403)
  const callback = new URL(await ada.callbackFor({ as: 'ada' }))
  const refused = await ada.through(second.url).fetch(callback.pathname + callback.search)
  expect([refused.status, refused.json<{ code: string }>().code]).toEqual([403, 'access_denied'])
  other.socket.send('still here')
  await expect.poll(() => other.messages).toEqual(['still here'])
  expect((await coatcheck(world, 'users', 'enable', user?.id ?? '')).status).toBe(0)
  await world.signedIn({ browser: 'ada' })
})

test('users in memory of a gateway that can not be asked: said in one line, exit 1', async () => {
  await using world = await createWorld({ config: { admin: undefined } })
  const memory = await coatcheck(world, 'users', 'list')
  expect([memory.status, memory.out]).toEqual([1, ''])
  expect(memory.err).toMatch(/^coatcheck users: no admin listener answers, and users in memory .*\n$/)
})

test('wrong usage is one line that says what to write, and exit 2', async () => {
  await using world = await createWorld()
  const cases: [string[], RegExp][] = [
    [['disable'], /say whom: disable ID .*--user SUB, or disable --email ADDRESS/],
    [['disable', 'some-id', '--user', 'ada'], /say whom/],
    [['disable', '--iss', 'x'], /--iss goes with --user/],
    [['disable', '--user', 'a', '--email', 'b'], /--user or --email, not both/],
    [['enable', 'some-id', '--reason', 'x'], /--reason goes with disable/],
    [['disable', 'some-id', '--reason', 'x'.repeat(201)], /at most 200/],
    [['list', 'some-id'], /list takes no ID/],
    [['remove', 'some-id'], /write list, disable, enable or forget, not "remove"/],
    [['list', '-c', 'none.yaml'], /none\.yaml/],
  ]
  const runs = await Promise.all(
    cases.map(async ([args, text]) => ({ args, text, ran: await coatcheck(world, 'users', ...args) })),
  )
  for (const { args, text, ran } of runs) {
    expect(ran.status, args.join(' ')).toBe(2)
    expect(ran.out).toBe('')
    expect(ran.err).toMatch(text)
    expect(ran.err.trimEnd().split('\n')).toHaveLength(1)
  }
})
