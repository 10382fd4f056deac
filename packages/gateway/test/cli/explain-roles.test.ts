import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { run } from '../../src/cli/explain.ts'
import { output } from '../config/command.ts'
import { configFolder, env } from '../config/folder.ts'

const arn = (name: string) => `arn:aws:iam::123456789012:role/${name}`
const issuer = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc'
const poolId = 'eu-west-1:12345678-1234-1234-1234-123456789abc'

const yaml = (pool = '', roles = '') => `origin: https://app.example.com
listen: { port: 8080 }
providers:
  aws:
    kind: cognito
    userPoolId: eu-west-1_Abc
    domain: https://login.example.com
    clientId: web
    clientSecret: { env: CLIENT_SECRET }
    identityPool: { id: "${poolId}"${pool} }
${roles}roles:
  - { claim: groups, contains: admin, grant: [admin] }
  - { claim: groups, startsWith: team-, grant: [member, staff] }
  - { claim: groups, equals: Users, grant: [staff] }
routes:
  - path: /prod/*
    upstream: https://api.example.com
    access: { roles: [admin], claims: { "custom:site": [north] } }
    credential: { aws: { service: execute-api, region: eu-west-1 } }
  - path: /reports/*
    upstream: https://api.example.com
    access: authenticated
    credential: { aws: { service: execute-api, region: eu-west-1${pool.includes('rules') ? '' : `, roleArn: "${arn('reports')}"`} } }
  - { path: /*, upstream: https://web.example.com, access: authenticated }
`

const ada = {
  iss: issuer,
  token_use: 'id',
  sub: '1',
  'cognito:groups': ['admin', 'users'],
  'cognito:roles': [arn('admin'), arn('users')],
  'cognito:preferred_role': arn('admin'),
  'custom:site': 'north',
}

async function explain(claims: object | string, args: readonly string[], { pool = '', roles = '' } = {}) {
  using folder = configFolder({ 'coatcheck.yaml': yaml(pool, roles) })
  writeFileSync(folder.at('claims.json'), typeof claims === 'string' ? claims : JSON.stringify(claims))
  return await output(run, [...args, '--claims', 'claims.json'], folder.path)
}

test('explain roles: which rule of which line gave each role, why the others gave none, and the role of IAM', async () => {
  expect(await explain(ada, ['roles'])).toEqual({
    status: 0,
    stderr: '',
    stdout: `roles
  granted  admin by roles[0] (coatcheck.yaml:12): groups contains admin; "admin" of cognito:groups
  not      member, staff by roles[1] (coatcheck.yaml:13): groups startsWith team-; cognito:groups has "admin", "users"
  not      staff by roles[2] (coatcheck.yaml:14): groups equals Users; cognito:groups has "admin", "users"
           hint: "users" differs in letter case only
  aws      ${arn('admin')} by aws: cognito:preferred_role, that of the group with the lowest precedence
`,
  })
})

test('explain roles --json: the same as data', async () => {
  const { stdout } = await explain(ada, ['roles', '--json'])
  expect(JSON.parse(stdout)).toMatchObject({
    roles: ['admin'],
    rules: [
      { index: 0, line: 12, outcome: 'grants', by: { claim: 'cognito:groups', element: 'admin' } },
      { index: 1, line: 13, outcome: 'no-match', grant: ['member', 'staff'] },
      { index: 2, line: 14, outcome: 'no-match', hints: [expect.stringContaining('letter case')] },
    ],
    aws: [{ provider: 'aws', roleArn: arn('admin') }],
  })
})

test('rolesMatch: first is told: what stands below was not reached', async () => {
  const claims = { groups: ['admin', 'team-a'] }
  expect((await explain(claims, ['roles'])).stdout).toContain('granted  staff by roles[1]')
  const { stdout } = await explain(claims, ['roles'], { roles: 'rolesMatch: first\n' })
  expect(stdout).not.toContain('granted  staff')
  expect(stdout).toContain('roles[0] matched before, and only the first grants')
})

test('METHOD URL --claims: access by roles, groups and claims, and the role with which AWS would be called', async () => {
  const { stdout } = await explain(ada, ['GET', '/prod/orders'])
  expect(stdout).toContain('the roles admin meet what is asked of roles, groups and claims')
  expect(stdout).toContain(`  aws      ${arn('admin')} by aws: cognito:preferred_role`)
  expect(stdout).toContain('granted  admin by roles[0]')

  const south = await explain({ ...ada, 'custom:site': 'south' }, ['GET', '/prod/orders'])
  expect(south.stdout).toContain('not met: claim custom:site is another')
  expect(south.stdout).toContain('answer   403 access_denied')
  expect(south.stdout).not.toContain('  aws ')

  const reports = JSON.parse((await explain(ada, ['GET', '/reports/1', '--json'])).stdout)
  expect(reports.aws).toEqual([
    {
      provider: 'aws',
      refused: true,
      why: `roleArn of the route asks for ${arn('reports')}, which cognito:roles does not list`,
    },
  ])
  expect(reports.user.roles).toEqual(['admin'])
  expect((await explain(ada, ['GET', '/page'])).stdout).not.toContain('  aws ')
})

test.each([
  ['listed', '', { ...ada, 'cognito:roles': [arn('reports')] }, { roleArn: arn('reports') }],
  ['in the basic flow, too', ', flow: basic', { ...ada, 'cognito:roles': arn('reports') }, { roleArn: arn('reports') }],
  ['of another issuer', '', { ...ada, iss: 'https://elsewhere.example' }, undefined],
])('a role that a route asks for: %s', async (_, pool, claims, expected) => {
  const { stdout } = await explain(claims, ['GET', '/reports/1', '--json'], { pool })
  expect(JSON.parse(stdout).aws?.[0]).toEqual(expected && expect.objectContaining(expected))
})

test.each([
  ['the only one', '', { 'cognito:roles': [arn('users')] }, `${arn('users')} by aws: the only one of cognito:roles`],
  [
    'several, none preferred',
    '',
    { 'cognito:roles': [arn('a'), arn('b')] },
    'not known here by aws: cognito:roles names 2 and prefers none: the identity pool gives its authenticated role, or refuses',
  ],
  [
    'several, and STS wants one',
    ', flow: basic',
    { 'cognito:roles': [arn('a'), arn('b')] },
    'no credentials by aws: cognito:roles names 2 and prefers none',
  ],
  [
    'preferred, but not listed',
    ', flow: basic',
    { 'cognito:preferred_role': arn('a') },
    'no credentials by aws: cognito:preferred_role is',
  ],
  ['the pool’s own rules', ', roleFrom: rules', ada, 'not known here by aws: the rules of the identity pool decide'],
  [
    'of the configuration',
    `, roleFrom: { customRoleArn: "${arn('users')}" }`,
    ada,
    `${arn('users')} by aws: customRoleArn of the identity pool, and cognito:roles lists it`,
  ],
])('the role of IAM: %s', async (_, pool, claims, says) => {
  expect((await explain(claims, ['roles'], { pool })).stdout).toContain(`  aws      ${says}`)
})

test('claims from standard input', async () => {
  using folder = configFolder({ 'coatcheck.yaml': yaml() })
  let stdout = ''
  const status = await run(['roles', '--claims', '-'], {
    stdin: (async function* () {
      yield '{"groups": ["ad'
      yield Buffer.from('min"]}')
    })(),
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: () => {} },
    env,
    cwd: folder.path,
  })
  expect(status).toBe(0)
  expect(stdout).toContain('granted  admin by roles[0]')
})

test.each([
  ['a token', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln', 'holds a token; give its claims alone'],
  ['no JSON', '{groups}', 'is no JSON, or a name stands in it twice'],
  ['a name twice', '{"groups": ["admin"], "groups": []}', 'is no JSON, or a name stands in it twice'],
  ['a list', '["admin"]', 'is no JSON object'],
])('claims that are none end with 2, and nothing of them is repeated: %s', async (_, text, says) => {
  const { status, stdout, stderr } = await explain(text, ['roles'])
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(/^coatcheck explain: claims\.json [^\n]*\n$/)
  expect(stderr).toContain(says)
  expect(stderr).not.toMatch(/eyJ|admin/)
})

test.each([
  [['roles'], 'roles needs --claims FILE'],
  [['roles', '/x', '--claims', 'c'], 'roles takes no URL'],
  [['GET', '/x', '--claims', 'c', '--roles', 'a'], '--roles and --claims say the same'],
  [['--request', 'id', '--log', 'l', '--claims', 'c'], '--request takes no METHOD, URL, --roles or --claims'],
])('wrong usage is said in one line: %j', async (args, says) => {
  const { status, stderr } = await output(run, args)
  expect(status).toBe(2)
  expect(stderr).toContain(says)
  expect(stderr.trim().split('\n')).toHaveLength(1)
})

test('a claim can not write to the terminal', async () => {
  const { stdout } = await explain({ groups: ['\u001b[2Jadmin'] }, ['roles'])
  expect(stdout).not.toContain('\u001b')
  expect(stdout).toContain('\\x1b[2Jadmin')
})
