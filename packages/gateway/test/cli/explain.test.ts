import { expect, test } from 'vitest'
import { run } from '../../src/cli/explain.ts'
import { output } from '../config/command.ts'
import { configFolder } from '../config/folder.ts'

const yaml = `origin: https://app.example.com
listen: { port: 8080 }
providers:
  corp: { issuer: https://idp.example.com, clientId: web, clientSecret: { env: CLIENT_SECRET } }
routes:
  - path: /api/*
    upstream: http://127.0.0.1:3000
    stripPrefix: /api
    access: authenticated
  - path: /api/admin/*
    upstream: http://127.0.0.1:3000
    access: { roles: [admin], maxAge: 5m }
    credential: access-token
    methods: [GET]
  - { path: /shop/*, upstream: "http://127.0.0.1:4000", access: authenticated, csrf: token }
`

async function explain(...args: string[]) {
  using folder = configFolder({ 'coatcheck.yaml': yaml })
  return await output(run, args, folder.path)
}

test('explain: route, line, checks and what happens then, for a person and as JSON', async () => {
  expect(await explain('GET', '/api/admin/users?q=1')).toEqual({
    status: 0,
    stderr: '',
    stdout: `GET
  target   /api/admin/users
  route    routes[1], /api/admin/* (coatcheck.yaml:10)
  csrf     header: a script sends X-CSRF: 1 from a page of the origin
  session  needed: a navigation without one goes to sign-in, a script gets 401 login_required
  access   one of the roles admin
           signed in no longer than 300 s ago, else a step-up
  then     forwarded to http://127.0.0.1:3000/api/admin/users?q=1 with the credential access-token
`,
  })
  const { stdout } = await explain('GET', 'https://app.example.com/api/admin', '--roles', 'reader', '--json')
  expect(JSON.parse(stdout)).toMatchObject({
    route: { index: 1, path: '/api/admin/*' },
    line: 10,
    refused: 'access_denied',
  })
  expect((await explain('GET', '/api/admin', '--roles', 'admin, reader')).stdout).toContain(
    'the roles admin, reader meet what is asked of roles',
  )
})

test('explain: what is refused, and why', async () => {
  const answers = [
    ['GET', '/other', 'route    none: what no route names does not exist', '404 not_found'],
    [
      'DELETE',
      '/api/admin/x',
      'method   not served here; the most specific path allows GET, HEAD',
      '405 method_not_allowed',
    ],
    ['GET', '/api/%2e%2e/x', 'target   refused: ', '400 bad_request'],
    ['GET', 'https://evil.example/api/x', 'host     not the origin https://app.example.com', '421 misdirected_request'],
    ['GET', '/api/api/admin/x', 'the upstream may take this path for that of a stricter route', '400 bad_request'],
    ['TRACE', '/api/x', 'method   never forwarded', '405 method_not_allowed'],
  ] as const
  for (const [method, url, says, answer] of answers) {
    const { stdout, status } = await explain(method, url)
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining(says) })
    expect(stdout).toContain(`answer   ${answer}`)
  }
  expect((await explain('GET', '/auth/login')).stdout).toContain("one of the gateway's own endpoints, below /auth")
})

test('CS4 explain: what a form needs, by method', async () => {
  const csrfOf = async (method: string) => /^ {2}csrf {5}(.*)$/m.exec((await explain(method, '/shop/cart')).stdout)?.[1]
  expect(await csrfOf('GET')).toBe('token: GET needs none, from a page of the origin or opened in the window')
  expect(await csrfOf('POST')).toBe(
    'token: X-CSRF-Token, or a form field csrf_token, of the session, from a page of the origin',
  )
})

test('explain: wrong usage and a broken configuration are told on one line each, with status 2', async () => {
  expect(await explain('get', '/x')).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/METHOD is written in capitals.*\n$/),
  })
  expect(await explain('GET')).toMatchObject({ status: 2, stderr: expect.stringContaining('URL is missing') })
  expect(await explain('GET', '/x', '-c', 'other.yaml')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('other.yaml:1: cannot be read'),
  })
})
