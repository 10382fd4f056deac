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
  - path: /open/*
    upstream: http://127.0.0.1:3000
    access: public
    limit: { requests: 20, per: 30s }
  - path: /export
    upstream: http://127.0.0.1:3000
    access: authenticated
    limit: { requests: 5 }
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

test('explain: the limit of a route, and whose it is', async () => {
  expect((await explain('GET', '/open/x')).stdout).toContain(
    'limit    20 at once, and as many again in 30 s, by address; else 429 too_many_requests\n',
  )
  expect((await explain('GET', '/export')).stdout).toContain(
    'limit    5 at once, and as many again in 60 s, by session; else 429 too_many_requests\n',
  )
  expect((await explain('GET', '/api/x')).stdout).not.toContain('limit')
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

test('PX7 explain: for whom a token is made, by whom, and what it says', async () => {
  const told = async (credential: string) => {
    const text = yaml.replace(
      '    access: authenticated\n',
      `    access: authenticated\n    credential: ${credential}\n`,
    )
    const key =
      '{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}'
    using folder = configFolder({ 'coatcheck.yaml': text, 'orders.jwk': key })
    const { stdout } = await output(run, ['GET', '/api/users'], folder.path)
    return /with (.*)\n/.exec(stdout)?.[1]
  }
  expect(await told('{ exchange: { audience: orders, resource: "https://o.example/", scope: read } }')).toBe(
    "a token of the provider's for orders at https://o.example/, scope read (exchange)",
  )
  expect(await told('{ mint: { audience: orders } }')).toBe(
    "a token of the gateway's own for orders, good for 60 s, with roles (mint)",
  )
  expect(await told('{ mint: { audience: orders, ttl: 5m, claims: [], encryptTo: { file: orders.jwk } } }')).toBe(
    "a token of the gateway's own for orders, good for 300 s, encrypted by ECDH-ES+A256KW (mint)",
  )
})
