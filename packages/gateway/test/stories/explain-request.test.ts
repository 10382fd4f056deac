import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { environmentOf } from '../../../testkit/src/config.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { run } from '../../src/cli/explain.ts'
import { openSocket, refusalOf } from './sockets.ts'

interface Told {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** `coatcheck explain …` in the world's folder, with the gateway's log so far as `gateway.log`. */
async function explain(world: World, args: readonly string[], stdin?: AsyncIterable<string>): Promise<Told> {
  writeFileSync(join(world.folder, 'gateway.log'), `not of ours: 2026\n${world.log.text()}`)
  const written = { stdout: '', stderr: '' }
  const status = await run(args, {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: environmentOf(['corp']),
    cwd: world.folder,
    ...(stdin && { stdin }),
  })
  return { status, ...written }
}

const explainId = (world: World, id: string, ...more: string[]) =>
  explain(world, ['--request', id, '--log', 'gateway.log', ...more])

const pageId = (text: string) => /Request <code>([\w-]+)<\/code>/.exec(text)?.[1] ?? ''

describe('explain --request', () => {
  test('LG1 RB1 the id on a refusal leads to route, rule, session and reason; the rules are told as for METHOD URL', async () => {
    await using world = await createWorld()
    const bob = await world.signedIn({ as: 'bob' })
    const refused = await bob.fetch('/api/admin/users?secret=1')
    expect(refused.status).toBe(403)
    const { requestId } = refused.json<{ requestId: string }>()
    expect(refused.header('x-request-id')).toBe(requestId)
    const [line] = world.log.events('authz_fail')
    expect(line).toMatchObject({ requestId, decision: 'refused', route: '/api/admin/*', rule: 'routes[1]' })
    const { session } = line as { session?: string }
    const sessions = await bob.fetch('/auth/sessions')
    expect(sessions.json()).toMatchObject({ sessions: [{ id: session }] })
    const { stdout, stderr, status } = await explainId(world, requestId)
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout.replace(/coatcheck\.yaml:\d+/, 'coatcheck.yaml:N')).toBe(`GET
  target   /api/admin/users
  route    routes[1], /api/admin/* (coatcheck.yaml:N)
  csrf     header: a script sends X-CSRF: 1 from a page of the origin
  session  ${session}
  access   one of the roles admin
           refused: none of the roles admin
  answer   403 access_denied
  when     ${line?.time} from 127.0.0.1
`)
    const asJson = JSON.parse((await explainId(world, requestId, '--json')).stdout)
    expect(asJson).toMatchObject({
      requestId,
      code: 'access_denied',
      route: '/api/admin/*',
      session,
      reason: 'none of the roles admin',
      line: expect.any(Number),
      others: [],
    })
    const piped = async function* () {
      yield* world.log.text().match(/[\s\S]{1,7}/g) ?? []
    }
    expect((await explain(world, ['--request', requestId, '--log', '-'], piped())).stdout).toBe(stdout)
  })

  test('LG1 every kind of refusal is explained at the check where it was said, everyday ones too', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [
          { path: '/api/admin/*', upstream, access: { roles: ['admin'], maxAge: '5m' }, methods: ['GET'] },
          { path: '/api/slow/*', upstream, access: 'authenticated', limit: { requests: 1 } },
          { path: '/live', upstream: 'ws://127.0.0.1:1', access: 'public' },
          { path: '/dead/*', upstream: 'http://127.0.0.1:1', access: 'authenticated' },
          { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated' },
          { path: '/', static: './public', access: 'public' },
        ],
      }),
    })
    const nobody = world.browser('nobody')
    const ada = await world.signedIn()
    await ada.fetch('/api/slow/x')
    const limited = await ada.fetch('/api/slow/x')
    const anonymous = (why: string) =>
      `  session  needed: a navigation without one goes to sign-in, a script gets 401 login_required\n           refused: ${why}\n`
    const former = await world.signedIn({ browser: 'former' })
    const cookie = former.cookies()[0]?.cookieString() ?? ''
    await former.fetch('/auth/logout', { method: 'POST' })
    const unproved = { headers: { cookie: '__Host-Http-session=forged' } }
    const rows = [
      [await nobody.fetch('/api/echo'), anonymous('no session cookie'), '401 login_required'],
      [
        await world.browser('forger').fetch('/api/echo', unproved),
        anonymous('the session cookie is of no session'),
        '401 login_required',
      ],
      [
        await world.browser('forger').fetch('/api/echo', { headers: { cookie } }),
        anonymous('it ended: logout'),
        '401 session_expired',
      ],
      [await ada.fetch('/nowhere'), '  route    refused\n', '404 not_found'],
      [await ada.fetch('/api/admin/x', { method: 'DELETE' }), '  method   refused\n', '405 method_not_allowed'],
      [await ada.fetch('/api/echo', { csrf: false }), '  csrf     header: ', '403 csrf_rejected'],
      [await ada.fetch('/api/%2fx'), '  target   refused: ', '400 bad_request'],
      [limited, '           refused: the limit route /api/slow/*\n', '429 too_many_requests'],
      [await ada.fetch('/dead/x'), '  then     refused\n', '502 upstream_unavailable'],
      [
        await ada.fetch('/auth/sessions', { method: 'DELETE' }),
        '/auth/sessions, an endpoint of the',
        '400 bad_request',
      ],
    ] as const
    for (const [page, says, answer] of rows) {
      const { requestId } = page.json<{ requestId: string }>()
      const { stdout, status } = await explainId(world, requestId)
      expect([answer, status, stdout]).toEqual([answer, 0, expect.stringContaining(says)])
      expect(stdout).toContain(`  answer   ${answer}\n`)
    }
    // What was not proved names nobody.
    const proved = ['/api/slow/x', '/dead/x', '/auth/sessions']
    for (const { session, path } of world.log.lines.filter(({ decision }) => decision === 'refused'))
      expect([path, session !== undefined]).toEqual([path, proved.includes(String(path))])
    await refusalOf(openSocket(world, nobody))
    const socket = world.log.lines.find(({ decision, path }) => decision === 'refused' && path === '/live')
    expect((await explainId(world, String(socket?.requestId))).stdout).toContain(
      '  answer   502 upstream_unavailable\n',
    )
    const page = await nobody.visit('/nowhere')
    expect((await explainId(world, pageId(page.text))).stdout).toContain('404 not_found')
    world.clock.advance(6 * 60_000)
    const stepUp = await ada.fetch('/api/admin/x')
    const told = await explainId(world, stepUp.json<{ requestId: string }>().requestId)
    expect(told.stdout).toContain('  access   one of the roles admin\n')
    expect(told.stdout).toContain('  answer   401 step_up_required\n')
  })

  test('LG1 decisions: all shows what was let through, by whom and where to; otherwise nothing is logged of it', async () => {
    await using quiet = await createWorld()
    const before = await quiet.signedIn()
    const lines = quiet.log.lines.length
    const passed = await before.fetch('/api/echo')
    expect(quiet.log.lines).toHaveLength(lines)
    const id = /X-Request-Id,([\w-]+)/.exec(String(quiet.upstream.last().rawHeaders))?.[1] ?? ''
    expect(passed.status).toBe(200)
    expect(await explainId(quiet, id)).toMatchObject({ status: 1, stderr: expect.stringContaining('has no request') })

    await using world = await createWorld({ config: { log: { decisions: 'all' } } })
    const ada = await world.signedIn()
    expect((await ada.fetch('/api/echo')).status).toBe(200)
    const sent = /X-Request-Id,([\w-]+)/.exec(String(world.upstream.last().rawHeaders))?.[1] ?? ''
    const { stdout } = await explainId(world, sent)
    expect(stdout).toMatch(/^ {2}session {2}[\w-]{22}$/m)
    expect(stdout).toContain('  answer   that of the upstream\n')
    const redirect = await world.browser('nobody').visit('/api/echo', { follow: false })
    expect(redirect.status).toBe(303)
    await ada.visit('/')
    await world.browser('nobody').fetch('/auth/events')
    const decided = world.log.events('request_decided')
    expect(decided.map(({ decision, status }) => [decision, status])).toEqual(
      expect.arrayContaining([
        ['forward', undefined],
        ['respond', 303],
        ['static', undefined],
        ['endpoint', undefined],
      ]),
    )
    expect(decided.at(-1)).toMatchObject({ route: '/auth/events', decision: 'endpoint', method: 'GET' })
    // First the endpoint was found, then it refused: the last word counts.
    const last = await explainId(world, String(decided.at(-1)?.requestId))
    expect(last.stdout).toContain('  answer   401 login_required\n')
    const text = world.log.text()
    for (const secret of [...world.provider.issuedTokens, ...ada.allCookies().map(({ value }) => value)])
      expect(text).not.toContain(secret)
  })

  test('bad input: a missing file, no log, an unknown id, an id of two requests, a hostile line, no configuration', async () => {
    await using world = await createWorld()
    const refused = await world.browser('nobody').fetch('/api/echo')
    const { requestId } = refused.json<{ requestId: string }>()
    const usage: [string[], string][] = [
      [['--request', requestId], '--request needs --log FILE'],
      [['--log', 'gateway.log'], '--log goes with --request ID'],
      [['GET', '/x', '--request', requestId, '--log', 'gateway.log'], '--request takes no METHOD'],
      [['--request', 'a b', '--log', 'gateway.log'], '--request is not an id'],
      [['--request', requestId, '--log', 'missing.log'], 'missing.log can not be read: no such file'],
      [['--request', requestId, '--log', '.'], '. can not be read: it is a folder'],
      [['--request', requestId, '--log', 'public/index.html'], 'public/index.html has no line of JSON'],
      [[], 'METHOD is missing'],
    ]
    for (const [args, says] of usage) {
      const { status, stderr, stdout } = await explain(world, args)
      expect([args, status, stdout, stderr.split('\n').length]).toEqual([args, 2, '', 2])
      expect(stderr).toContain(says)
    }
    expect(await explainId(world, 'unknown-1')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'coatcheck explain: gateway.log has no request unknown-1\n',
    })

    const twice = { requestId, decision: 'refused', code: 'not_found', method: 'GET', path: '/other' }
    const log = join(world.folder, 'two.log')
    writeFileSync(log, `${world.log.text()}${JSON.stringify(twice)}\n`)
    expect(await explain(world, ['--request', requestId, '--log', 'two.log'])).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining(`${requestId} is of several requests in two.log (lines `),
    })

    writeFileSync(log, '{"requestId":"h-1" broken\n')
    appendFileSync(log, `${JSON.stringify({ requestId: 'h-1', event: 'x', msg: '\u001b[2J' })}\n`)
    const hostile = {
      ...twice,
      requestId: 'h-1',
      path: '/\u001b]0;x\u0007',
      reason: 'line\nforged',
      route: 7,
      code: '__proto__',
    }
    appendFileSync(log, JSON.stringify(hostile))
    const told = await explain(world, ['--request', 'h-1', '--log', 'two.log', '-c', 'none.yaml'])
    expect([told.status, told.stderr]).toEqual([
      0,
      expect.stringMatching(/^coatcheck explain: told from the log alone, without the rules: none\.yaml:1: .*\n$/),
    ])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(told.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/)
    expect(told.stdout.split('\n').some((line) => line.startsWith('forged'))).toBe(false)
  })

  test('a configuration that has changed since is not taken for the rules by which it was decided', async () => {
    await using world = await createWorld()
    const bob = await world.signedIn({ as: 'bob' })
    const { requestId } = (await bob.fetch('/api/admin/x')).json<{ requestId: string }>()
    await world.stopGateway()
    await world.startGateway({ routes: [{ path: '/*', static: './public', access: 'public' }] })
    const { stdout } = await explainId(world, requestId)
    expect(stdout).toContain(
      '  route    routes[1], /api/admin/*\n           the configuration has another route there now\n',
    )
    expect(stdout).toContain('  access   refused: none of the roles admin\n  answer   403 access_denied\n')
  })
})
