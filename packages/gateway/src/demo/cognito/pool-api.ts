import { AwsError, jsonOperation } from './json-error.ts'
import { AccessTokenError, type CheckAccessToken } from './pool-access.ts'
import { type Grant, GrantError, type PoolGrants } from './pool-grants.ts'
import type { PoolClient, PoolUser } from './pool-settings.ts'
import { type IssueTokens, identitiesOf } from './pool-tokens.ts'
import type { Call, Reply } from './service.ts'

interface ApiParts {
  readonly clients: readonly PoolClient[]
  readonly grants: PoolGrants
  readonly check: CheckAccessToken
  readonly issue: IssueTokens
  readonly now: () => number
  /** Attributes that the pool's schema has, beside the standard ones. */
  readonly customAttributes: readonly string[]
}

const adminScope = 'aws.cognito.signin.user.admin'
const standardAttributes =
  'address birthdate email family_name gender given_name locale middle_name name nickname phone_number picture preferred_username profile website zoneinfo'.split(
    ' ',
  )
const maxAttempts = 5
const attemptWindow = 15 * 60_000

/** The part of `AWSCognitoIdentityProviderService` that a user's own access token opens. */
export function createPoolApi(parts: ApiParts): (call: Call) => Promise<Reply> {
  const { clients, grants, check, issue, now, customAttributes } = parts
  const failures = new Map<PoolUser, number[]>()

  async function authorized(input: Record<string, unknown>): Promise<Grant> {
    const grant = await check(text(input, 'AccessToken')).catch((error: unknown) => {
      throw error instanceof AccessTokenError ? new AwsError('NotAuthorizedException', error.message) : error
    })
    if (!grant.scopes.includes(adminScope)) {
      throw new AwsError('NotAuthorizedException', 'Access Token does not have required scopes')
    }
    return grant
  }

  function limitAttempts(user: PoolUser): void {
    const recent = (failures.get(user) ?? []).filter((at) => at > now() - attemptWindow)
    failures.set(user, recent)
    if (recent.length >= maxAttempts) {
      throw new AwsError('LimitExceededException', 'Attempt limit exceeded, please try after some time.')
    }
  }

  const operations = {
    async GetUser(input: Record<string, unknown>) {
      const { user } = await authorized(input)
      const attributes = [...user.attributes].map(([Name, Value]) => ({ Name, Value }))
      const identities = user.identity ? [{ Name: 'identities', Value: JSON.stringify(identitiesOf(user)) }] : []
      const UserAttributes = [...attributes, ...identities, { Name: 'sub', Value: user.sub }]
      return { Username: user.username, UserAttributes }
    },

    async GlobalSignOut(input: Record<string, unknown>) {
      const { user } = await authorized(input)
      grants.signOut(user)
      return {}
    },

    async ChangePassword(input: Record<string, unknown>) {
      const { user } = await authorized(input)
      const previous = text(input, 'PreviousPassword')
      const proposed = text(input, 'ProposedPassword')
      if (user.identity) throw new AwsError('NotAuthorizedException', 'User is not authorized to change password.')
      limitAttempts(user)
      if (user.password !== previous) {
        failures.get(user)?.push(now())
        throw new AwsError('NotAuthorizedException', 'Incorrect username or password.')
      }
      const complaint = passwordComplaint(proposed)
      if (complaint) {
        throw new AwsError('InvalidPasswordException', `Password did not conform with policy: ${complaint}`)
      }
      user.password = proposed
      return {}
    },

    async UpdateUserAttributes(input: Record<string, unknown>) {
      const { user } = await authorized(input)
      const wanted = attributesOf(input.UserAttributes)
      for (const [name] of wanted) {
        if (name === 'sub' || name === 'identities' || name.endsWith('_verified')) {
          throw new AwsError('NotAuthorizedException', `A client attempted to write unauthorized attribute: ${name}`)
        }
        if (!standardAttributes.includes(name) && !customAttributes.includes(name)) {
          const message = `user.attributes: Attributes did not conform to the schema: ${name}: Attribute does not exist in the schema.`
          throw new AwsError('InvalidParameterException', message)
        }
      }
      for (const [name, value] of wanted) user.attributes.set(name, value)
      if (wanted.some(([name]) => name === 'email')) user.attributes.set('email_verified', 'false')
      return { CodeDeliveryDetailsList: [] }
    },

    RevokeToken(input: Record<string, unknown>) {
      const client = clientOf(clients, input)
      const grant = grants.grantOfRefreshToken(text(input, 'Token'))
      if (grant && grant.clientId === client.clientId) grant.revoked = true
      return {}
    },

    async GetTokensFromRefreshToken(input: Record<string, unknown>) {
      const client = clientOf(clients, input)
      try {
        const { grant, replacement } = grants.refresh(text(input, 'RefreshToken'), client)
        const { access_token, id_token, expires_in } = await issue(grant)
        const tokens = { AccessToken: access_token, IdToken: id_token, ExpiresIn: expires_in, TokenType: 'Bearer' }
        return { AuthenticationResult: { ...tokens, RefreshToken: replacement } }
      } catch (error) {
        if (!(error instanceof GrantError)) throw error
        throw new AwsError(error.reused ? 'RefreshTokenReuseException' : 'NotAuthorizedException', error.message)
      }
    },
  }

  return (call) => jsonOperation(call, 'AWSCognitoIdentityProviderService', operations)
}

function text(input: Record<string, unknown>, name: string): string {
  const value = input[name]
  if (typeof value === 'string' && value !== '') return value
  throw new AwsError('InvalidParameterException', `Missing required parameter ${name}`)
}

function clientOf(clients: readonly PoolClient[], input: Record<string, unknown>): PoolClient {
  const client = clients.find((one) => one.clientId === input.ClientId)
  if (!client) throw new AwsError('ResourceNotFoundException', `User pool client ${input.ClientId} does not exist.`)
  if (client.clientSecrets.length > 0 && !client.clientSecrets.includes(String(input.ClientSecret))) {
    throw new AwsError('NotAuthorizedException', `Unable to verify secret hash for client ${client.clientId}`)
  }
  return client
}

function attributesOf(value: unknown): Array<[name: string, value: string]> {
  if (!Array.isArray(value) || value.length === 0) {
    throw new AwsError('InvalidParameterException', 'Missing required parameter UserAttributes')
  }
  return value.map((one: { Name?: unknown; Value?: unknown }) => {
    const content = String(one.Value ?? '')
    if (content.length > 2048) throw new AwsError('InvalidParameterException', 'Attribute value is longer than 2048')
    return [text({ Name: one.Name }, 'Name'), content]
  })
}

/** The pool's default policy. */
function passwordComplaint(password: string): string | undefined {
  if (password.length < 8) return 'Password not long enough'
  if (!/[A-Z]/.test(password)) return 'Password must have uppercase characters'
  if (!/[a-z]/.test(password)) return 'Password must have lowercase characters'
  if (!/\d/.test(password)) return 'Password must have numeric characters'
  if (!/[^A-Za-z0-9]/.test(password)) return 'Password must have symbol characters'
  return undefined
}
