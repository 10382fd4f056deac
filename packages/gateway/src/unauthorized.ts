import type { Shortfall } from './access/assurance.ts'
import { askStepUp } from './access/step-up.ts'
import type { RouteConfig } from './config/schema.ts'
import type { Forward, RawHeaders, Respond, Unauthorized } from './decision.ts'
import { readStepUpChallenge } from './protocol/challenge.ts'
import { transport } from './protocol/security-headers.ts'
import { createRefuser } from './refuse.ts'
import type { GatewayRequest } from './request.ts'
import type { Services } from './services.ts'
import type { LiveSession } from './session/record.ts'
import { addHeaders } from './strict-transport.ts'
import { createCredential } from './upstream/credential.ts'
import { createFreshTokens } from './upstream/fresh-tokens.ts'
import { identityHeaders } from './upstream/identity-headers.ts'
import { createStillAdmitted } from './upstream/still-admitted.ts'
import { createTrials } from './upstream/trials.ts'

/**
 * What becomes of an upstream's 401 on a route with a session. It asks for a stronger sign-in: our step-up. It refuses the
 * token: a new one, and the request once more, if that is harmless; providers that don't say when a token ends
 * (Salesforce) leave no other sign of it. Whatever else it means is the client's business.
 * @see RFC 9470 §3 · RFC 6750 §3.1
 */
export function createUnauthorized(route: RouteConfig, services: Services): Unauthorized | undefined {
  if (route.access === 'public') return undefined
  const { config, dpopProofs, log, now, sessions } = services
  // A minted token owes nothing to the provider: a new one would say the same.
  const renewable =
    typeof route.credential === 'object' ? route.credential.kind === 'exchange' : route.credential !== 'none'
  const fresh = createFreshTokens(route, services)
  const stillAdmitted = createStillAdmitted(route, services)
  const refuse = createRefuser(services)
  const credentialOf = createCredential(route, services)
  const trials = createTrials(now)
  const origin = new URL(config.origin)
  const strict = transport({ https: origin.protocol === 'https:', host: origin.host })

  const first: Unauthorized = (forward, { headers, repeatable }) => {
    const { request, session } = forward as Asked
    const stepUp = demandOf(headers, session)
    if (stepUp !== undefined) return answered(request, () => askStepUp(config, request, stepUp))
    if (!renewable || session.tokens.refreshToken === undefined) return undefined
    if (!trials.worthIt(session)) return undefined
    return renewed(forward, request, session).then(
      (again) => (repeatable ? again : undefined),
      (error: unknown) => respond(refuse(error, request.head, request.requestId, request)),
    )
  }

  const second: Unauthorized = (forward, { headers }) => {
    const { request, session } = forward as Asked
    const stepUp = demandOf(headers, session)
    if (stepUp !== undefined) return answered(request, () => askStepUp(config, request, stepUp))
    trials.inVain(session)
    return undefined
  }

  /** The client hears of the 401 only when the new token is there: should it try again by itself, it gets it. */
  async function renewed(
    forward: Forward,
    request: GatewayRequest,
    session: LiveSession,
  ): Promise<Forward | undefined> {
    log.info({
      event: 'upstream_refused_token',
      session: sessions.handleOf(session.id),
      requestId: request.requestId,
      upstream: forward.upstream,
    })
    const next = await fresh.replace(request, session)
    if (next === undefined) return undefined
    trials.begin(next)
    stillAdmitted(next)
    const given = await credentialOf(request, next)
    const credential = typeof given === 'object' && 'credential' in given ? given.credential : given
    const { method } = request.head
    const proved =
      typeof credential === 'string'
        ? ['Authorization', credential]
        : credential === undefined
          ? []
          : dpopProofs.headers(credential, { method, upstream: forward.upstream, path: forward.path })
    return {
      ...forward,
      headers: [...withoutOwn(forward.headers), ...identityHeaders(next), ...proved],
      unauthorized: second,
      session: next,
    }
  }

  /** Undefined, too, where the sign-in is already as is asked: one more would come back here, and so on for ever. */
  function demandOf(headers: RawHeaders, { record }: LiveSession): Shortfall | undefined {
    const demand = readStepUpChallenge(headers)
    if (demand === undefined) return undefined
    const strong = demand.acr === undefined || demand.acr === record.acr
    const oldest = demand.maxAge ?? (demand.acr === undefined ? justNow : Number.POSITIVE_INFINITY)
    const recent = now() - record.authenticatedAt <= oldest * 1000
    return strong && recent ? undefined : demand
  }

  function answered(request: GatewayRequest, ask: () => Respond): Respond {
    try {
      return respond(ask())
    } catch (error) {
      return respond(refuse(error, request.head, request.requestId, request))
    }
  }

  /** All that the gateway answers itself carries Strict-Transport-Security. */
  const respond = (answer: Respond): Respond => addHeaders(answer, strict)

  return first
}

type Asked = Forward & Required<Pick<Forward, 'request'>> & { readonly session: LiveSession }

/** Seconds. */
const justNow = 60

/** Without what the gateway said of the user, and of the token that was refused: both may be others now. */
function withoutOwn(headers: RawHeaders): RawHeaders {
  return headers.filter((_, i) => !renewedHeaders.has(headers[i - (i % 2)] as string))
}

const renewedHeaders = new Set(['Authorization', 'DPoP', 'X-Coatcheck-User', 'X-Coatcheck-Issuer', 'X-Coatcheck-Roles'])
