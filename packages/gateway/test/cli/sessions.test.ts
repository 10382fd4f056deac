import { existsSync, renameSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { coatcheck } from './built-command.ts'

/** Each run of the command is a process of its own. */
vi.setConfig({ testTimeout: 60_000 })

interface Listed {
  readonly sessions: { id: string; user: string; device: string }[]
}
const listed = async (world: World, ...args: string[]) => {
  const { status, out, err } = await coatcheck(world, 'sessions', 'list', '--json', ...args)
  expect([status, err]).toEqual([0, ''])
  return (JSON.parse(out) as Listed).sessions
}
const isLive = async (world: World, browser: string) => (await world.browser(browser).fetch('/api/echo')).status === 200

async function threeSessions(options: Parameters<typeof createWorld>[0]) {
  const world = await createWorld(options)
  for (const browser of ['ada', 'phone']) await world.signedIn({ browser })
  await world.signedIn({ browser: 'bob', as: 'bob' })
  return world
}

test('LO6 over the admin listener: a table to read, JSON to process; one session ends, a user’s, everyone’s', async () => {
  await using world = await threeSessions({})
  const { status, out } = await coatcheck(world, 'sessions', 'list')
  expect(status).toBe(0)
  const [head, ...rows] = out.trimEnd().split('\n')
  expect(head).toMatch(/^ID +USER +PROVIDER +SIGNED IN +LAST SEEN +ADDRESS +DEVICE$/)
  expect(rows.map((row) => row.split(/ {2,}/)[1]).sort()).toEqual(['ada', 'ada', 'bob'])
  const at = head?.indexOf('USER') ?? 0
  for (const row of rows) expect(row.slice(at, at + 3)).toMatch(/ada|bob/)

  const [bob] = await listed(world, '--user', 'bob')
  expect(await coatcheck(world, 'sessions', 'revoke', bob?.id ?? '')).toEqual({
    status: 0,
    out: '1 session ended\n',
    err: '',
  })
  expect(await isLive(world, 'bob')).toBe(false)
  const again = await coatcheck(world, 'sessions', 'revoke', bob?.id ?? '')
  expect([again.status, again.out]).toEqual([1, ''])
  expect(again.err).toMatch(/no such session.*coatcheck sessions list\n$/)

  const adas = await coatcheck(world, 'sessions', 'revoke', '--user', 'ada', '--json')
  expect([adas.status, JSON.parse(adas.out)]).toEqual([0, { ended: 2 }])
  expect(await isLive(world, 'ada')).toBe(false)
  await world.signedIn({ browser: 'bob', as: 'bob' })
  expect((await coatcheck(world, 'sessions', 'revoke', '--all')).out).toBe('1 session ended\n')
  expect(await isLive(world, 'bob')).toBe(false)
  expect((await coatcheck(world, 'sessions', 'list')).out).toBe('no sessions\n')
  expect(await listed(world)).toEqual([])
  expect(world.log.events('authz_admin').filter(({ action }) => action === 'sessions.revoke')).toHaveLength(4)
})

test('LO6 without an admin listener, directly on the lmdb store of a running gateway, which sees it at once', async () => {
  await using world = await threeSessions({ store: 'lmdb', config: { admin: undefined } })
  expect(await isLive(world, 'ada')).toBe(true)
  const all = await listed(world)
  expect(all.map(({ user }) => user).sort()).toEqual(['ada', 'ada', 'bob'])
  expect(await listed(world, '--user', 'bob', '--iss', world.provider.issuer)).toHaveLength(1)
  expect(await listed(world, '--user', 'bob', '--iss', 'http://localhost:1')).toEqual([])
  const bob = all.find(({ user }) => user === 'bob')
  expect((await coatcheck(world, 'sessions', 'revoke', bob?.id ?? '')).out).toBe('1 session ended\n')
  expect(await isLive(world, 'bob')).toBe(false)
  expect(await isLive(world, 'ada')).toBe(true)
  expect((await coatcheck(world, 'sessions', 'revoke', '--user', 'ada')).out).toBe('2 sessions ended\n')
  expect(await isLive(world, 'ada')).toBe(false)
  await world.signedIn({ browser: 'ada' })
  await world.stopGateway()
  // The gateway is down, and its sessions are still to be had.
  expect((await coatcheck(world, 'sessions', 'revoke', '--all')).out).toBe('1 session ended\n')
  await world.startGateway()
  expect(await isLive(world, 'ada')).toBe(false)
})

test('sessions in memory of a gateway that can not be asked, a store that is not there: said in one line, exit 1, nothing is made', async () => {
  await using world = await createWorld({ config: { admin: undefined } })
  const memory = await coatcheck(world, 'sessions', 'list')
  expect([memory.status, memory.out]).toEqual([1, ''])
  expect(memory.err).toMatch(/^coatcheck sessions: no admin listener answers.*admin: \{ port, token \}.*\n$/)
  await world.stopGateway()
  await world.startGateway({ store: { kind: 'lmdb', path: 'data/here' } })
  await world.stopGateway()
  renameSync(join(world.folder, 'data', 'here'), join(world.folder, 'data', 'elsewhere'))
  const missing = await coatcheck(world, 'sessions', 'list')
  expect([missing.status, missing.out]).toEqual([1, ''])
  expect(missing.err).toMatch(/there is no session store at .*data\/here yet\n$/)
  expect(existsSync(join(world.folder, 'data', 'here'))).toBe(false)
})

test('the admin token goes to nobody who does not answer as a gateway; a gateway that refuses it is an error, never the store', async () => {
  await using world = await threeSessions({ store: 'lmdb' })
  const port = Number(new URL(world.adminUrl).port)
  await world.stopGateway()
  const heard: (string | undefined)[] = []
  let health = '{"hello":"world"}'
  const stranger = createServer((request, response) => {
    heard.push(request.headers.authorization)
    if (request.url === '/healthz') response.end(health)
    else response.writeHead(401).end('{}')
  })
  await listen(stranger, port)
  try {
    expect(await listed(world)).toHaveLength(3)
    expect(heard).toEqual([undefined])
    health = '{"status":"ok"}'
    const refused = await coatcheck(world, 'sessions', 'revoke', '--all')
    expect([refused.status, refused.out]).toEqual([1, ''])
    expect(refused.err).toMatch(/answered 401: it runs with another admin\.token\n$/)
    expect(refused.err).not.toContain(world.adminToken)
  } finally {
    await closeServer(stranger)
  }
  await world.startGateway()
  expect(await isLive(world, 'ada')).toBe(true)
})

test('wrong usage is one line that says what to write, and exit 2: nothing is ended', async () => {
  await using world = await threeSessions({})
  const cases: [string[], RegExp][] = [
    [['revoke'], /say which: revoke ID .*--user SUB, or revoke --all/],
    [['revoke', '--all', '--user', 'ada'], /write one of ID, --user and --all/],
    [['revoke', 'some-id', '--all'], /write one of ID, --user and --all/],
    [['revoke', '--iss', 'x', '--all'], /--iss goes with --user/],
    [['revoke', '--user'], /--user needs a value/],
    [['revoke', '--al'], /did you mean --all\?/],
    [['revoke', 'a', 'b'], /unexpected argument b/],
    [['list', 'some-id'], /list takes no ID/],
    [['list', '--all', '--user', 'ada'], /not both/],
    [['remove', '--all'], /write list or revoke, not "remove"/],
    [[], /list\|revoke is missing/],
    [['list', '-c', 'none.yaml'], /none\.yaml/],
  ]
  const runs = await Promise.all(
    cases.map(async ([args, text]) => ({ args, text, ran: await coatcheck(world, 'sessions', ...args) })),
  )
  for (const { args, text, ran } of runs) {
    expect(ran.status, args.join(' ')).toBe(2)
    expect(ran.out).toBe('')
    expect(ran.err).toMatch(text)
    expect(ran.err.trimEnd().split('\n')).toHaveLength(1)
  }
  const help = await coatcheck(world, 'sessions', '--help')
  expect([help.status, help.err]).toEqual([0, ''])
  expect(help.out).toMatch(/^Usage: coatcheck sessions list\|revoke \[ID\] \[options\]/)
  expect(await listed(world)).toHaveLength(3)
})

test('a device that calls itself by control characters moves nothing on the terminal', async () => {
  await using world = await createWorld()
  const user = world.browser('odd', { headers: { 'user-agent': 'Evil\u009b2Jbrowser' } })
  await user.signIn({ as: 'ada' })
  const [session] = await listed(world)
  const { out } = await coatcheck(world, 'sessions', 'list')
  expect(session?.device).toContain('Evil')
  expect(out).toContain('Evil\\x9b2Jbrowser')
  expect(out).not.toContain('\u009b')
})
