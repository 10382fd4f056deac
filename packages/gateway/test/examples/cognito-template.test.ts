import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

/*
 * What a user applies at AWS: every name in it exists, no role may more than it must, and the function that turns groups
 * into roles compares whole names.
 */
interface Resource {
  readonly Type: string
  // biome-ignore lint/suspicious/noExplicitAny: the template's own shapes
  readonly Properties: any
}

const call = (tag: string) => ({ tag: `!${tag}`, resolve: (text: string) => ({ [tag]: text }) })
const source = readFileSync(new URL('../../../../examples/cognito/template.yaml', import.meta.url), 'utf8')
const template = parse(source, { customTags: [call('Ref'), call('Sub'), call('GetAtt')] })
const resources: Record<string, Resource> = template.Resources
const roles = Object.entries(resources).filter(([, { Type }]) => Type === 'AWS::IAM::Role')
const resource = (name: string) => resources[name]?.Properties

test('every name that the template refers to is a parameter or a resource of it', () => {
  const known = new Set([...Object.keys(template.Parameters), ...Object.keys(resources)])
  const text = JSON.stringify(template)
  const refs = [...text.matchAll(/"Ref":"([^"]+)"/g), ...text.matchAll(/"GetAtt":"([^".]+)/g)]
  const inTexts = [...text.matchAll(/\$\{([^!}.]+)[^}]*\}/g)]
  const names = [...refs, ...inTexts].map(([, name]) => name ?? '')
  expect(names.length).toBeGreaterThan(30)
  expect(names.filter((name) => !known.has(name) && !name.startsWith('AWS::'))).toEqual([])
})

test('the app client keeps a secret, uses the code flow alone, and takes no password by API', () => {
  const client = resource('AppClient')
  expect(client).toMatchObject({ GenerateSecret: true, AllowedOAuthFlows: ['code'], EnableTokenRevocation: true })
  expect(client.ExplicitAuthFlows).toEqual(['ALLOW_USER_SRP_AUTH'])
  expect(client.CallbackURLs).toEqual([{ Sub: '$' + '{Origin}/auth/callback/$' + '{ProviderName}' }])
})

test('no group, no role: the identity pool denies guests and does not fall back to a default role', () => {
  expect(resource('IdentityPool')).toMatchObject({ AllowUnauthenticatedIdentities: false, AllowClassicFlow: false })
  const { Roles, RoleMappings } = resource('RoleMapping')
  expect(Roles).toEqual({})
  expect(RoleMappings.userPool).toMatchObject({ Type: 'Token', AmbiguousRoleResolution: 'Deny' })
})

test('a role of users can be taken from this identity pool alone, by a signed-in user alone', () => {
  const own = roles.filter(([, { Properties }]) => JSON.stringify(Properties).includes('cognito-identity'))
  expect(own.map(([name]) => name)).toEqual(['UserRole', 'AdminRole'])
  for (const [, { Properties }] of own) {
    for (const { Action, Condition } of Properties.AssumeRolePolicyDocument.Statement) {
      expect(Action).toBe('sts:AssumeRoleWithWebIdentity')
      expect(Condition).toEqual({
        StringEquals: { 'cognito-identity.amazonaws.com:aud': { Ref: 'IdentityPool' } },
        'ForAnyValue:StringLike': { 'cognito-identity.amazonaws.com:amr': 'authenticated' },
      })
    }
  }
})

test('no policy allows every action or every resource; each user has a folder of their own', () => {
  const statements = roles.flatMap(([, { Properties }]) =>
    (Properties.Policies ?? []).flatMap(
      (policy: { PolicyDocument: { Statement: object[] } }) => policy.PolicyDocument.Statement,
    ),
  )
  expect(statements.length).toBeGreaterThan(2)
  for (const { Action, Resource } of statements) {
    for (const action of [Action].flat()) expect(action).not.toContain('*')
    expect(Resource.Sub).toMatch(/^arn:\$\{AWS::Partition\}:(execute-api:.+\$\{ApiId\}|s3:::\$\{UploadBucket\})\//)
  }
  expect(JSON.stringify(statements)).toMatch(
    /:::\$\{UploadBucket\}\/users\/\$\{!cognito-identity\.amazonaws\.com:sub\}\/\*"/,
  )
})

const [admin, users] = ['arn:aws:iam::1:role/app-admin', 'arn:aws:iam::1:role/app-users']

/** Runs the function as Lambda would and answers the groups and roles that come into the tokens. */
async function groupsFor(attributes: Record<string, string>) {
  const { Code, Environment } = resource('GroupsOfOkta')
  const roles = Environment.Variables.ROLES.Sub.replaceAll('$' + '{AWS::Partition}', 'aws')
    .replaceAll('$' + '{AWS::AccountId}', '1')
    .replaceAll('$' + '{AWS::StackName}', 'app')
  const lambda: { exports: { handler?: (event: object) => Promise<{ response: { claimsOverrideDetails: object } }> } } =
    {
      exports: {},
    }
  runInNewContext(Code.ZipFile, { process: { env: { ROLES: roles } }, exports: lambda.exports })
  const event = await lambda.exports.handler?.({ request: { userAttributes: attributes } })
  return JSON.parse(JSON.stringify(event?.response.claimsOverrideDetails)).groupOverrideDetails
}

test('groups of Okta become groups of the pool and roles, compared as whole names, the most powerful one preferred', async () => {
  expect(await groupsFor({ 'custom:groups': '[users, everyone, admin]' })).toEqual({
    groupsToOverride: ['admin', 'users'],
    iamRolesToOverride: [admin, users],
    preferredRole: admin,
  })
  expect(await groupsFor({ 'custom:groups': 'users' })).toMatchObject({ iamRolesToOverride: [users] })
  for (const none of ['nonadmin', '[nonadmin, admins, Admin]', 'admin users', '[]', ''])
    expect(await groupsFor({ 'custom:groups': none })).toEqual({ groupsToOverride: [], iamRolesToOverride: [] })
  expect(await groupsFor({ email: 'ada@example.com' })).toEqual({ groupsToOverride: [], iamRolesToOverride: [] })
})
