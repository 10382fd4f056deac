import type { RouteConfig } from '../config/schema.ts'
import type { Respond } from '../decision.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { createCredential } from './credential.ts'
import { identityHeaders } from './identity-headers.ts'

/**
 * Forward-auth's yes: 200, and in its headers what the proxy that asked tells the upstream of the user.
 *
 * The token is among them only where the route says `forwardAuth: true` and the question carries
 * `Sec-Coatcheck-Forward: 1`. A proxy in front of the gateway also passes browsers' own requests on, and some pass all of
 * their headers: a script that forged a question to `/auth/forward` would else read the access token out of the answer.
 */
export function createVouch(
  route: RouteConfig,
  services: Services,
): (request: GatewayRequest, session: LiveSession | undefined) => Respond | Promise<Respond> {
  const credentialOf = createCredential(route, services)
  const hasCredential = route.credential !== 'none'

  return (request, session) => {
    if (session === undefined) return admitted(request, nobody)
    if (!hasCredential) return admitted(request, identityHeaders(session))
    const withheld = whyWithheld(request)
    if (withheld !== undefined) {
      services.log.warn({
        event: 'forward_credential_withheld',
        requestId: request.requestId,
        path: request.path,
        reason: withheld,
      })
      return admitted(request, identityHeaders(session))
    }
    const answer = (authorization: string | undefined) => {
      const credential = authorization === undefined ? [] : ['Authorization', authorization]
      return admitted(request, [...identityHeaders(session), ...credential])
    }
    const authorization = credentialOf(request, session)
    return authorization instanceof Promise ? authorization.then(answer) : answer(authorization)
  }

  function whyWithheld({ head }: GatewayRequest): string | undefined {
    if (route.forwardAuth !== true) return 'the route does not say forwardAuth: true'
    return head.asked?.credential === true ? undefined : 'the question has no Sec-Coatcheck-Forward: 1'
  }
}

function admitted(request: GatewayRequest, headers: readonly string[]): Respond {
  return {
    kind: 'respond',
    status: 200,
    headers: [...headers, 'X-Request-Id', request.requestId, 'Cache-Control', 'no-store'],
    body: '',
    admitted: true,
  }
}

/** Sent although empty: a proxy that copies only what is there would leave the client's own headers of these names. */
const nobody = ['X-Coatcheck-User', '', 'X-Coatcheck-Issuer', '', 'X-Coatcheck-Roles', '']
