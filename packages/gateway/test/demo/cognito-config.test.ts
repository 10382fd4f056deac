import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { explainRoles } from '../../src/access/role-explanation.ts'
import { createCognitoDemoConfig } from '../../src/demo/cognito/demo-config.ts'
import { people } from '../../src/demo/cognito/theatre.ts'

test('the Cognito demo is an ordinary configuration: what reaches AWS is signed, and nobody reaches it without a session', () => {
  const data = mkdtempSync(`${tmpdir()}/coatcheck-demo-`)
  const provider = {
    kind: 'cognito',
    ...{
      userPoolId: 'us-east-1_StandIn01',
      issuer: 'http://127.0.0.1:8081/us-east-1_StandIn01',
      domain: 'http://localhost:8082',
      clientId: 'foyer',
    },
    identityPool: { id: 'us-east-1:12345678-1234-1234-1234-123456789abc' },
  } as const
  const parts = { provider, region: 'us-east-1', api: 'http://127.0.0.1:1', bucket: 'http://127.0.0.1:2' }
  const config = createCognitoDemoConfig(
    { ...parts, about: 'http://127.0.0.1:3' },
    { origin: 'http://localhost:8080', port: 8080, data, sessions: `${data}/sessions`, clientSecret: 'shh' },
  )
  rmSync(data, { recursive: true, force: true })
  const toAws = config.routes.filter(({ upstream }) => upstream === parts.api || upstream === parts.bucket)
  expect(toAws).toHaveLength(3)
  for (const { access, credential } of toAws) {
    expect(access).not.toBe('public')
    expect(credential).toMatchObject({ kind: 'aws' })
  }
  expect(config.store.kind).toBe('lmdb')
  expect(explainRoles(config, { 'cognito:groups': ['managers', 'staff'] }).roles).toEqual(people[0].roles)
})
