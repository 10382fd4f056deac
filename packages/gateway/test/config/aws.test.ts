import { expect, test } from 'vitest'
import { complaints, configOf, corp, route, variant } from './folder.ts'

const guid = '12345678-1234-1234-1234-123456789abc'
const pool = { id: `eu-west-1:${guid}` }
const upstream = 'https://abc.execute-api.eu-west-1.amazonaws.com'
const signed = (aws: unknown, more: object = {}) => [route({ upstream, credential: { aws }, ...more })]
const working = { service: 'execute-api', region: 'eu-west-1' }
const arn = 'arn:aws:iam::123456789012:role/orders'

test('an identity pool and a signed route, with what they leave out', () => {
  const config = configOf(variant({ providers: { corp: { ...corp, identityPool: pool } }, routes: signed(working) }))
  expect(config.providers.corp?.identityPool).toEqual({ ...pool, flow: 'enhanced', roleFrom: 'token' })
  expect(config.routes[0]?.credential).toEqual({ kind: 'aws', aws: { ...working, headers: [] } })
})

test.each<[unknown, object, object, string]>([
  [{ service: 'sqs', region: 'eu-west-1' }, pool, {}, 'credential.aws.service: write execute-api, lambda, s3,'],
  [{ service: 's3' }, pool, {}, 'credential.aws.region: is missing; write a region of AWS'],
  [{ ...working, roleArn: 'admin' }, pool, {}, 'credential.aws.roleArn: write the ARN of a role'],
  [{ ...working, headers: ['x-amz-acl'] }, pool, {}, 'credential.aws.headers[0]: is set or withheld by the gateway'],
  [{ ...working, headers: ['Cookie'] }, pool, {}, 'credential.aws.headers[0]: is set or withheld by the gateway'],
  [
    { ...working, provider: 'other' },
    pool,
    {},
    'credential.aws.provider: is no provider with an identityPool; write corp',
  ],
  [
    working,
    pool,
    { upstream: 'http://10.0.0.1:3000' },
    'upstream: a signed request carries a session token; write https',
  ],
  [working, pool, { upstream: 'wss://a.test' }, 'credential: WebSockets are not signed'],
  [working, pool, { upstream: [upstream, 'https://b.test'] }, 'upstream: a signature is for one host'],
  [
    { ...working, roleArn: arn },
    { ...pool, roleFrom: 'rules' },
    {},
    'credential.aws.roleArn: the identity pool of corp',
  ],
])('%j with the pool %j and %j: %4$s', (aws, identityPool, more, message) => {
  const found = complaints({ providers: { corp: { ...corp, identityPool } }, routes: signed(aws, more) })
  expect(found).toEqual([expect.stringContaining(`routes[0].${message}`)])
})

test.each<[object, string]>([
  [{ id: guid }, 'id: write the id of the identity pool'],
  [{ ...pool, roleFrom: 'me' }, 'roleFrom: write token, rules or { customRoleArn: arn:… }'],
  [{ ...pool, flow: 'basic' }, 'flow: basic goes by cognito:roles of a user pool; write enhanced'],
  [{ ...pool, endpoint: 'http://evil.example' }, 'endpoint: plain http works for localhost'],
])('the identity pool %j is refused: %s', (identityPool, message) => {
  expect(complaints({ providers: { corp: { ...corp, identityPool } }, routes: [route({})] })).toEqual([
    expect.stringContaining(`providers.corp.identityPool.${message}`),
  ])
})

test('a signed route without any pool is refused', () => {
  expect(complaints({ providers: { corp }, routes: signed(working) })).toEqual([
    'routes[0].credential.aws: no provider has an identityPool; write one under providers',
  ])
})

test('what is wrong elsewhere in the route is all that is said of it', () => {
  const routes = signed(working, { path: 'no path' })
  expect(complaints({ providers: { corp: { ...corp, identityPool: pool } }, routes })).toEqual([
    expect.stringContaining('routes[0].path: '),
  ])
})

const uploads = { key: 'up/{identityId}/{id}', types: ['image/*'] }
const s3 = { service: 's3', region: 'eu-west-1' }

test('presign with what it leaves out: POST, five minutes, 100 MB', () => {
  const config = configOf(
    variant({
      providers: { corp: { ...corp, identityPool: pool } },
      routes: signed(s3, { path: '/uploads', presign: uploads }),
    }),
  )
  expect(config.routes[0]).toMatchObject({
    methods: ['POST'],
    presign: { key: [{ text: 'up/' }, { of: 'identityId' }, { text: '/' }, { of: 'id' }], maxSize: 100 * 1024 ** 2 },
  })
})

test.each<[object, object, string]>([
  [working, {}, 'credential: presign signs for S3; write { aws: { service: s3'],
  [s3, { path: '/uploads/*' }, 'path: the key of an upload is chosen by presign'],
  [s3, { methods: ['PUT'] }, 'methods: permissions are asked for by POST'],
  [s3, { stripPrefix: '/uploads' }, 'stripPrefix: is without effect beside presign'],
  [s3, { maxBody: '1mb' }, 'maxBody: is without effect beside presign'],
  [s3, { presign: { ...uploads, key: 'up/{id}' } }, 'presign.key: has no place of the user'],
  [s3, { presign: { ...uploads, types: ['*/*'] } }, 'presign.types[0]: write a type'],
  [s3, { presign: { ...uploads, expires: '2h' } }, 'presign.expires: is too much; write at most 1h'],
  [s3, { presign: { ...uploads, maxSize: '6gb' } }, 'presign.maxSize: is too much; write at most 5gb'],
])('presign with %j and %j: %2$s', (aws, more, message) => {
  const routes = signed(aws, { path: '/uploads', presign: uploads, ...more })
  const found = complaints({ providers: { corp: { ...corp, identityPool: pool } }, routes })
  expect(found).toEqual([expect.stringContaining(`routes[0].${message}`)])
})

test('one sub may be two users of two providers, who would share a place', () => {
  const presign = { ...uploads, key: 'up/{sub}/{id}' }
  const providers = { corp: { ...corp, identityPool: pool }, other: { ...corp, identityPool: pool } }
  const found = (aws: object) =>
    complaints({ providers, defaultProvider: 'corp', routes: signed(aws, { path: '/uploads', presign }) })
  expect(found(s3)).toEqual([
    expect.stringContaining('routes[0].presign.key: two providers may know two users by one sub'),
  ])
  expect(found({ ...s3, provider: 'corp' })).toEqual([])
})
