import { describe, expect, test } from 'vitest'
import { roleArn } from '../../../testkit/src/cognito.ts'
import { createAwsWorld } from './aws-world.ts'
import type { CognitoWorld } from './cognito-world.ts'

interface Who {
  readonly roleArn?: string
  readonly tags?: Record<string, string>
  readonly code?: string
}

/** Who a user is to AWS, through the gateway. */
async function whoIs(given: CognitoWorld, as: string): Promise<Who> {
  const { browser } = await given.signIn({ as, browser: as, query: '&idp=Okta' })
  return (await browser.fetch('/prod/me')).json<Who>()
}

const calls = ({ cognito }: CognitoWorld) => ({
  pool: cognito.identityPool.faults.calls.map(({ operation }) => operation),
  sts: cognito.sts.faults.count('AssumeRoleWithWebIdentity'),
})

describe('who says the role', () => {
  test('PX7 roleFrom: rules — the first rule of the pool that fits; the gateway asks for none', async () => {
    const rules = [
      { claim: 'email', matchType: 'Equals', value: 'ada@example.com', roleArn: roleArn('admin') },
      { claim: 'email', matchType: 'StartsWith', value: 'bob@', roleArn: roleArn('users') },
    ] as const
    const roleMapping = { type: 'Rules', rules, ambiguous: 'Deny' } as const
    await using given = await createAwsWorld({
      cognito: { identityPool: { roleMapping } },
      pool: { roleFrom: 'rules' },
    })
    expect(await whoIs(given, 'ada')).toMatchObject({ roleArn: roleArn('admin') })
    expect(await whoIs(given, 'bob')).toMatchObject({ roleArn: roleArn('users') })
    expect(await whoIs(given, 'carol')).toMatchObject({ code: 'access_denied' })
  })

  test('PX7 roleFrom: rules — `Contains admin` takes nonadmin for one, `Equals` does not', async () => {
    const mapped = (matchType: 'Contains' | 'Equals', value: string) => ({
      type: 'Rules' as const,
      rules: [{ claim: 'cognito:groups', matchType, value, roleArn: roleArn('admin') }],
      ambiguous: 'AuthenticatedRole' as const,
    })
    const roleMapping = mapped('Contains', 'admin')
    await using given = await createAwsWorld({
      cognito: { identityPool: { roleMapping } },
      pool: { roleFrom: 'rules' },
    })
    expect(await whoIs(given, 'carol')).toMatchObject({ roleArn: roleArn('admin') })
    await using other = await createAwsWorld({
      cognito: { identityPool: { roleMapping: mapped('Equals', 'admin') } },
      pool: { roleFrom: 'rules' },
    })
    expect(await whoIs(other, 'carol')).toMatchObject({ roleArn: roleArn('authenticated') })
  })

  test('PX7 roleFrom: customRoleArn — asked of the pool, which gives it to those whose token lists it', async () => {
    await using given = await createAwsWorld({ pool: { roleFrom: { customRoleArn: roleArn('users') } } })
    // Hers by preference is admin.
    expect(await whoIs(given, 'ada')).toMatchObject({ roleArn: roleArn('users') })
    expect(await whoIs(given, 'carol')).toMatchObject({ code: 'access_denied' })
    expect(given.world.log.text()).toContain('Token is not authorized to assume this role')
  })

  test("PX7 a route's roleArn before customRoleArn; each role has credentials of its own", async () => {
    await using given = await createAwsWorld({
      pool: { roleFrom: { customRoleArn: roleArn('users') } },
      aws: { roleArn: roleArn('admin') },
    })
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    expect((await browser.fetch('/prod/me')).json()).toMatchObject({ roleArn: roleArn('admin') })
    expect((await browser.fetch('/bucket/key')).json()).toMatchObject({ roleArn: roleArn('users') })
    expect((await browser.fetch('/prod/me')).json()).toMatchObject({ roleArn: roleArn('admin') })
    expect(calls(given).pool).toEqual(['GetId', 'GetCredentialsForIdentity', 'GetCredentialsForIdentity'])
  })

  test.each(['roleArn of the route', 'customRoleArn'])(
    'PX7 flow: basic — %s: a role of cognito:roles is assumed; another one is refused, and neither pool nor STS hears of it',
    async (where) => {
      const asking = (name: string) =>
        where === 'customRoleArn'
          ? { pool: { flow: 'basic', roleFrom: { customRoleArn: roleArn(name) } } }
          : { pool: { flow: 'basic' }, aws: { roleArn: roleArn(name) } }
      await using given = await createAwsWorld(asking('users'))
      expect(await whoIs(given, 'ada')).toMatchObject({ roleArn: roleArn('users') })
      expect(calls(given)).toEqual({ pool: ['GetId', 'GetOpenIdToken'], sts: 1 })
      // This role trusts the pool, and STS would give it to anybody.
      await using other = await createAwsWorld(asking('authenticated'))
      expect(await whoIs(other, 'ada')).toMatchObject({ code: 'access_denied' })
      expect(calls(other)).toEqual({ pool: [], sts: 0 })
      expect(other.world.log.text()).toContain(`does not list ${roleArn('authenticated')}`)
    },
  )

  test('PX7 a pool without the basic flow: 502, and the log says what to switch on', async () => {
    await using given = await createAwsWorld({
      cognito: { identityPool: { classicFlow: false } },
      pool: { flow: 'basic' },
    })
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const answer = await browser.fetch('/prod/me')
    expect([answer.status, answer.json().code]).toEqual([502, 'token_refused'])
    expect(given.world.log.text()).toContain('classic')
  })
})

describe('principal tags', () => {
  const principalTags = { mail: 'email', name: 'name' }

  test.each(['enhanced', 'basic'])(
    'PX7 flow: %s — the claims that the pool maps are tags of the session',
    async (flow) => {
      await using given = await createAwsWorld({ cognito: { identityPool: { principalTags } }, pool: { flow } })
      expect(await whoIs(given, 'ada')).toMatchObject({ tags: { mail: 'ada@example.com', name: 'Ada Lovelace' } })
      expect(await whoIs(given, 'bob')).toMatchObject({ tags: { mail: 'bob@example.com' } })
    },
  )

  test.each(['enhanced', 'basic'])(
    'PX7 flow: %s — a role that may not be tagged (sts:TagSession) is refused: 403',
    async (flow) => {
      const groups = [
        { name: 'admin', precedence: 1, roleArn: roleArn('untagged') },
        { name: 'users', precedence: 2 },
      ]
      await using given = await createAwsWorld({
        cognito: { identityPool: { principalTags }, pool: { groups } },
        pool: { flow },
      })
      expect(await whoIs(given, 'ada')).toMatchObject({ code: 'access_denied' })
    },
  )
})
