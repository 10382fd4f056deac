import type { RouteConfig } from '../config/schema.ts'
import type { Respond } from '../decision.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { type Credential, createCredential } from './credential.ts'
import { identityHeaders } from './identity-headers.ts'
import { createStillAdmitted } from './still-admitted.ts'

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
  const stillAdmitted = createStillAdmitted(route, services)

  return (request, session) => {
    const withheld = whyWithheld(request)
    const kept = withheld === undefined ? ['Cookie', cookiesOf(request)] : []
    if (session === undefined) return admitted(request, [...nobody, ...kept])
    const own = [...tokenOf(session), ...kept]
    const identity = [...identityHeaders(session), ...own]
    if (route.credential === 'none') return admitted(request, identity)
    if (withheld !== undefined) {
      report(request, withheld)
      return admitted(request, identity)
    }
    const credential = credentialOf(request, session)
    if (!(credential instanceof Promise)) return withCredential(request, identity, credential)
    return credential.then((refreshed) => {
      stillAdmitted(refreshed.session)
      return withCredential(request, [...identityHeaders(refreshed.session), ...own], refreshed.credential)
    })
  }

  function withCredential(request: GatewayRequest, identity: readonly string[], credential: Credential | undefined) {
    if (typeof credential === 'string') return admitted(request, [...identity, 'Authorization', credential])
    // A proof is made for one request to one address, and the proxy's we don't know.
    if (credential !== undefined)
      report(request, 'the token is bound to a key (DPoP); only the gateway itself can prove it')
    return admitted(request, identity)
  }

  /** For the forms of a server-rendered page. */
  function tokenOf(session: LiveSession): readonly string[] {
    return ['X-Coatcheck-CSRF-Token', route.csrf === 'token' ? services.formTokens.issue(session.id) : '']
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
const nobody = [
  ...['X-Coatcheck-User', '', 'X-Coatcheck-Issuer', '', 'X-Coatcheck-Roles', ''],
  ...['X-Coatcheck-CSRF-Token', ''],
]
