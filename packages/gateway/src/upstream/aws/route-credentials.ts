import { decodeJwt } from 'jose'
import type { AwsConfig } from '../../config/aws-schema.ts'
import type { RouteConfig } from '../../config/schema.ts'
import { Refusal } from '../../errors.ts'
import type { GatewayRequest } from '../../request.ts'
import type { Services } from '../../services.ts'
import type { LiveSession } from '../../session/record.ts'
import { createFreshTokens } from '../fresh-tokens.ts'
import { createStillAdmitted } from '../still-admitted.ts'
import type { AwsCredentials } from './credentials.ts'
import type { Obtained, Wanted } from './role-credentials.ts'

/** AWS credentials as one route asks for them. */
export function createRouteCredentials(route: RouteConfig, services: Services, aws: AwsConfig) {
  const { now, roleCredentials } = services
  const fresh = createFreshTokens(route, services)
  const stillAdmitted = createStillAdmitted(route, services)

  /** The credentials, and the session as it is after a refresh. @throws Refusal */
  async function obtain(request: GatewayRequest, session: LiveSession, wanted: Wanted, instead?: AwsCredentials) {
    let current = (await fresh.renew(request, session)) ?? session
    // The pool takes ID tokens only, and their end is not always that of the access token.
    const { exp = Number.POSITIVE_INFINITY } = decodeJwt(current.tokens.idToken)
    if (exp * 1000 <= now() + 5_000) {
      const replaced = await fresh.replace(request, current)
      if (replaced === undefined) throw new Refusal('login_required', { cause: 'the ID token is over' })
      current = replaced
    }
    if (current !== session) stillAdmitted(current)
    const answer = await roleCredentials.fetch(current, wanted, instead)
    if (answer.kind !== 'usable') throw refusalFor(answer)
    return { credentials: answer.credentials, session: current }
  }

  return { obtain, wantedOf: createWanted(aws, services) }
}

/** Whose credentials a session gets here. @throws Refusal where it belongs to no pool */
function createWanted(aws: AwsConfig, { config }: Pick<Services, 'config'>) {
  const known = new Map<string, Wanted>()
  for (const [name, { identityPool: pool, issuer, userPoolId }] of Object.entries(config.providers)) {
    if (pool === undefined || (aws.provider !== undefined && aws.provider !== name)) continue
    const loginsKey = loginsKeyOf(issuer, userPoolId)
    known.set(name, { pool, loginsKey, roleArn: aws.roleArn })
  }
  return ({ record }: Pick<LiveSession, 'record'>): Wanted => {
    const wanted = known.get(record.provider)
    if (wanted && config.providers[record.provider]?.issuer === record.subject.iss) return wanted
    throw new Refusal('access_denied', { cause: `sign-in by ${record.provider} gives no AWS credentials here` })
  }
}

/** The pool's name for an issuer: a user pool by its region and id, whatever form of issuer it uses; others by their address. */
export function loginsKeyOf(issuer: string, userPoolId: string | undefined): string {
  if (userPoolId === undefined) return issuer.replace(/^https?:\/\//, '')
  return `cognito-idp.${userPoolId.slice(0, userPoolId.indexOf('_'))}.amazonaws.com/${userPoolId}`
}

function refusalFor(answer: Exclude<Obtained, { kind: 'usable' }>): Refusal {
  if (answer.kind === 'ended') return new Refusal('session_expired', { cause: 'it ended meanwhile' })
  const { kind, cause } = answer
  if (kind === 'denied') return new Refusal('access_denied', { cause })
  if (kind === 'refused') return new Refusal('token_refused', { cause })
  return new Refusal('provider_unavailable', { cause, headers: ['Retry-After', '5'] })
}
