import type { RouteConfig } from '../config/schema.ts'
import type { Respond } from '../decision.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { createCredential } from './credential.ts'
import { identityHeaders } from './identity-headers.ts'

/**
 * Forward-auth's yes: 200, and in its headers what the proxy that asked tells the upstream of the user; `Cookie` among
 * them is the client's own without the gateway's.
 *
 * Token and cookies are handed over only where the route says `forwardAuth: true` and the question carries
 * `Sec-Coatcheck-Forward: 1`. A proxy in front of the gateway also passes browsers' own requests on, and some pass all of
 * their headers: a script that forged a question to `/auth/forward` would else read the access token out of the answer.
 */
export function createVouch(
  route: RouteConfig,
  services: Services,
): (request: GatewayRequest, session: LiveSession | undefined) => Respond | Promise<Respond> {
  const credentialOf = createCredential(route, services)

  return (request, session) => {
    const withheld = whyWithheld(request)
    const own = withheld === undefined ? ['Cookie', cookiesOf(request)] : []
    if (session === undefined) return admitted(request, [...nobody, ...own])
    const identity = [...identityHeaders(session), ...own]
    if (route.credential === 'none') return admitted(request, identity)
    if (withheld !== undefined) {
      report(request, withheld)
      return admitted(request, identity)
    }
    const answer = (authorization: string | undefined) =>
      admitted(request, authorization === undefined ? identity : [...identity, 'Authorization', authorization])
    const authorization = credentialOf(request, session)
    return authorization instanceof Promise ? authorization.then(answer) : answer(authorization)
  }

  function whyWithheld({ head }: GatewayRequest): string | undefined {
    if (route.forwardAuth !== true) return 'the route does not say forwardAuth: true'
    return head.asked?.credential === true ? undefined : 'the question has no Sec-Coatcheck-Forward: 1'
  }

  function report({ requestId, path }: GatewayRequest, reason: string): void {
    services.log.warn({ event: 'forward_credential_withheld', requestId, path, reason })
  }
}

function cookiesOf({ fields: { forward } }: GatewayRequest): string {
  const at = forward.findIndex((text, index) => index % 2 === 0 && text === 'cookie')
  return at === -1 ? '' : (forward[at + 1] as string)
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
