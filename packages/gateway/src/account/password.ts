import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { noContent } from '../protocol/json-response.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { readJsonBody } from './json-body.ts'
import { createOwnAccount, demandLiveToken, denied } from './own-account.ts'
import { reasonOf } from './reason.ts'

/**
 * `POST /auth/password` with `{"currentPassword","newPassword"}`: a user of the pool itself changes their password. Passwords
 * go through, to the pool and nowhere else. @see ASVS 5.0 6.2.3
 */
export function createPassword(services: Services) {
  const { log, sessions } = services
  const open = createOwnAccount(services)

  return async (request: EndpointRequest): Promise<Respond> => {
    const account = await open(request, refuseFederated)
    const { currentPassword, newPassword } = readPasswords(request)
    const answer = await account.call('ChangePassword', {
      PreviousPassword: currentPassword,
      ProposedPassword: newPassword,
    })
    const { id, record } = account.session
    const event = { provider: record.provider, session: sessions.handleOf(id), requestId: request.requestId }
    if (answer.kind === 'done') {
      log.info({ event: 'authn_password_change', ...event })
      return noContent()
    }
    log.warn({ event: 'authn_password_change_fail', type: answer.type, ...event })
    if (answer.type === 'NotAuthorizedException') await demandLiveToken(account)
    if (!aboutPassword.has(answer.type)) throw denied(`ChangePassword: ${answer.type}`)
    const reason = reasonOf(answer.message, [currentPassword, newPassword])
    throw new Refusal('password_rejected', { cause: answer.type, members: { reason } })
  }
}

/** Their password is their identity provider's, and the pool has none. */
function refuseFederated({ record }: LiveSession): void {
  if (record.claims.identityProvider !== undefined) throw denied('a federated user has no password here')
}

const aboutPassword: ReadonlySet<string> = new Set([
  'InvalidParameterException',
  'InvalidPasswordException',
  'NotAuthorizedException',
  'PasswordHistoryPolicyViolationException',
])

function readPasswords(request: EndpointRequest) {
  const { currentPassword, newPassword, ...more } = readJsonBody(request)
  if (!isPassword(currentPassword) || !isPassword(newPassword) || Object.keys(more).length > 0) {
    throw new Refusal('bad_request', { cause: 'write {"currentPassword": text, "newPassword": text}' })
  }
  return { currentPassword, newPassword }
}

/** As long as Cognito takes them at most. */
function isPassword(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 256
}
