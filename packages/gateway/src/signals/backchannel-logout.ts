import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { isProviderBroken, retryAfter } from '../oidc/faults.ts'
import { refuseDuplicates } from '../oidc/login-start.ts'
import type { LogoutToken } from '../oidc/logout-token.ts'
import type { ProviderClient } from '../oidc/provider-client.ts'
import { json } from '../protocol/json-response.ts'
import { printable } from '../protocol/printable.ts'
import type { Services } from '../services.ts'
import type { ListedSession } from '../session/sessions.ts'
import { endSessions } from './end-sessions.ts'
import { isMediaType } from './media-type.ts'
import { createOnce } from './once.ts'

/** A `jti` is remembered for longer than a token with it could be taken for new; milliseconds. */
const rememberFor = 30 * 60_000

/**
 * `POST /auth/backchannel-logout/{provider}`: the provider says, server to server, that a sign-in or a user is over. 200 also
 * when there is nothing to end any more. @see OpenID Connect Back-Channel Logout §2.5–2.8
 */
export function createBackchannelLogout(services: Services) {
  const { log, now, providers, sessions } = services
  const once = createOnce(services)

  return async (request: EndpointRequest): Promise<Respond> => {
    const provider = providers.get(request.name)
    if (!provider) throw new Refusal('not_found')
    const token = await verified(provider, request)
    const first = await once(`logout:${provider.config.issuer} ${token.jti}`, now() + rememberFor, async () => {
      const ended = await endSessions(sessions, () => find(provider, token), 'provider-logout')
      log.info({ event: 'authn_backchannel_logout', provider: provider.name, ended, requestId: request.requestId })
    }).catch((cause: unknown) => {
      throw new Refusal('store_unavailable', { cause })
    })
    if (!first) throw invalid('this token was used already')
    return json(200, {})
  }

  async function verified(provider: ProviderClient, request: EndpointRequest): Promise<LogoutToken> {
    const form = new URLSearchParams(Buffer.from(request.body).toString())
    refuseDuplicates(form)
    const token = form.get('logout_token')
    if (!isMediaType(request.fields.contentType, 'application/x-www-form-urlencoded') || !token) {
      throw invalid('no logout_token in an urlencoded form')
    }
    try {
      return await provider.verifyLogoutToken(token)
    } catch (cause) {
      if (isProviderBroken(cause)) {
        throw new Refusal('provider_unavailable', { cause, headers: ['Retry-After', String(retryAfter(cause))] })
      }
      throw invalid(printable(cause instanceof Error ? cause.message : String(cause)))
    }
  }

  /**
   * With a sid it is that sign-in, and a sub beside it must be its user: a sid alone could be another provider user's. Sessions
   * of that user for which the provider never named a sid can't be told apart from it, so they end as well.
   */
  async function find(provider: ProviderClient, { sid, sub }: LogoutToken): Promise<ListedSession[]> {
    const { issuer: iss } = provider.config
    const bySid = sid === undefined ? [] : await sessions.ofProviderSid(iss, sid)
    const ofUser = sub === undefined ? [] : await sessions.ofUser({ iss, sub })
    const meant = [...bySid, ...ofUser.filter(({ record }) => sid === undefined || record.providerSid === undefined)]
    return meant.filter(
      ({ record }) => record.provider === provider.name && (sub === undefined || record.subject.sub === sub),
    )
  }
}

function invalid(cause: string): Refusal {
  return new Refusal('logout_token_invalid', { cause })
}
