import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createCertificate } from '../../src/demo/certificate.ts'
import { createDemoConfig, gatewayClient, rolesOf, sampleUsers } from '../../src/demo/config.ts'

const at = {
  origin: 'http://localhost:8080',
  port: 8080,
  before: 'http://localhost:8081',
  issuer: 'http://localhost:8082',
  api: 'http://127.0.0.1:3000',
}

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'coatcheck-demo-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

test('the demo is an ordinary configuration: parsed by the schema, with its defaults', () => {
  using data = folder()
  const config = createDemoConfig(at, { data: data.path, clientSecret: 'shh' })
  expect(config.listen).toMatchObject({ host: '127.0.0.1', port: 8080 })
  expect(config.session.idle).toBe(30 * 60_000)
  expect(config.providers.demo).toMatchObject({ issuer: at.issuer, clientSecret: 'shh' })
  expect(config.store).toEqual({ kind: 'lmdb', path: join(data.path, 'sessions') })
  expect(config.keys.file).toBe(join(data.path, 'coatcheck.keys'))
})

test('only the sample app is public besides what it tells strangers, and the page that it may frame is named', () => {
  using data = folder()
  const { routes, headers } = createDemoConfig(at, { data: data.path, clientSecret: 'shh' })
  expect(routes.filter(({ access }) => access === 'public').map(({ path }) => path)).toEqual(['/api/demo', '/*'])
  expect(routes.find(({ path }) => path === '/api/admin/*')?.access).toEqual({ roles: ['admin'] })
  expect(headers.csp).toBe("default-src 'self'; frame-src http://localhost:8081; form-action 'self'")
})

test('the provider sends people back to the gateway only', () => {
  expect(gatewayClient(at.origin, 'shh')).toMatchObject({
    redirectUris: ['http://localhost:8080/auth/callback/demo'],
    postLogoutRedirectUris: ['http://localhost:8080/'],
  })
})

test('one of the sample users is an admin', () => {
  expect(sampleUsers.filter((user) => rolesOf(user).includes('admin')).map(({ name }) => name)).toEqual(['Nora Vance'])
  for (const user of sampleUsers) expect(rolesOf(user)).toContain('staff')
})

test('--https: a certificate for localhost, its key readable by nobody else', async () => {
  using data = folder()
  const made = await createCertificate()
  const parsed = new X509Certificate(made.cert)
  expect(parsed.checkHost('localhost')).toBe('localhost')
  expect(parsed.checkIP('127.0.0.1')).toBe('127.0.0.1')
  expect(parsed.fingerprint256).toBe(made.fingerprint)
  expect(Buffer.from(made.spki, 'base64')).toHaveLength(32)

  const secure = { ...at, origin: 'https://localhost:8080', before: 'https://localhost:8081' }
  const { listen } = createDemoConfig(secure, { data: data.path, clientSecret: 'shh', tls: made })
  expect(readFileSync(listen.tls?.cert ?? '', 'utf8')).toBe(made.cert)
  expect(statSync(listen.tls?.key ?? '').mode & 0o777).toBe(0o600)
})
