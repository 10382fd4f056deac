import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { isProviderBroken, retryAfter } from '../oidc/faults.ts'
import { noContent } from '../protocol/json-response.ts'
import { printable } from '../protocol/printable.ts'
import { isJsonObject, parseStrictJson } from '../protocol/strict-json.ts'
import type { Services } from '../services.ts'
import { bearerOf } from './bearer.ts'
import { endSessions } from './end-sessions.ts'
import { findSessions, isWithin } from './find-sessions.ts'
import { isMediaType } from './media-type.ts'
import { createOnce } from './once.ts'
import { createRevocationCallers, type RevocationCaller } from './revocation-callers.ts'
import { readIdentifier, type Subject } from './subject.ts'

/** A `jti` is remembered for longer than a token with it could be taken for new; milliseconds. */
const rememberFor = 30 * 60_000

/**
 * `POST /auth/global-token-revocation/{name}`: an identity provider (or who else is configured) wants all that a user has here
 * to end, wherever they signed in. 204 also when there is nothing to end: it tells nobody who has a session.
 * Order: caller → token → body → used before? → sessions. What has no valid token learns nothing about the body.
 * @see draft-parecki-oauth-global-token-revocation-06 · Okta Universal Logout
 */
export function createGlobalTokenRevocation(services: Services) {
  const { log, now, sessions } = services
  const callers = createRevocationCallers(services)
  const once = createOnce(services)

  return async (request: EndpointRequest): Promise<Respond> => {
    const caller = callers.get(request.name)
    if (!caller) throw new Refusal('not_found')
    const jti = await authenticate(caller, request)
    const subject = readBody(request)
    if (!isWithin(subject, caller.reach)) {
      throw new Refusal('revocation_forbidden', { cause: `${caller.name} reaches no user of that name` })
    }
    const first = await once(`revocation:${caller.reach.issuer} ${jti}`, now() + rememberFor, async () => {
      const ended = await endSessions(sessions, () => findSessions(sessions, subject, caller.reach), 'revoked')
      log.info({
        event: 'authn_token_revocation',
        caller: caller.name,
        format: subject.simple?.format,
        ended,
        requestId: request.requestId,
      })
    }).catch((cause: unknown) => {
      throw new Refusal('store_unavailable', { cause })
    })
    if (!first) throw unauthorized('this token was used already')
    return noContent()
  }
}

async function authenticate(caller: RevocationCaller, request: EndpointRequest): Promise<string> {
  const token = bearerOf(request)
  if (token === undefined) throw unauthorized('no bearer token')
  try {
    return await caller.verify(token)
  } catch (cause) {
    if (isProviderBroken(cause)) {
      throw new Refusal('provider_unavailable', { cause, headers: ['Retry-After', String(retryAfter(cause))] })
    }
    throw unauthorized(printable(cause instanceof Error ? cause.message : String(cause)))
  }
}

/** `{"sub_id": {…}}` or, as Okta sent it before, `{"subject": {…}}`. */
function readBody({ body, fields }: EndpointRequest): Subject {
  if (!isMediaType(fields.contentType, 'application/json')) throw invalid('the body is not application/json')
  let parsed: unknown
  try {
    parsed = parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw invalid('the body is not JSON whose members stand once')
  }
  if (!isJsonObject(parsed)) throw invalid('the body is not a JSON object')
  const { sub_id: current, subject: earlier } = parsed
  if (current !== undefined && earlier !== undefined) throw invalid('both sub_id and subject')
  try {
    return { simple: readIdentifier('sub_id', current ?? earlier), others: [] }
  } catch (cause) {
    throw invalid((cause as Error).message)
  }
}

/** @see RFC 6750 §3 */
function unauthorized(cause: string): Refusal {
  const headers = ['WWW-Authenticate', cause === 'no bearer token' ? 'Bearer' : 'Bearer error="invalid_token"']
  return new Refusal('revocation_unauthorized', { cause, headers })
}

function invalid(cause: string): Refusal {
  return new Refusal('revocation_invalid', { cause })
}
