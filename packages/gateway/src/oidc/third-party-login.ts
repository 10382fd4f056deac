import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { safeReturnTo } from '../protocol/return-to.ts'
import type { Services } from '../services.ts'
import { readForm } from './form-post.ts'
import { refuseDuplicates, refuseUnlessNavigation } from './login-start.ts'
import type { ProviderClient } from './provider-client.ts'
import { redirect } from './redirect.ts'

/** What a login initiated elsewhere says: whose users, and where to. @see OpenID Connect Core §4 */
export interface ThirdPartyLogin {
  readonly provider: ProviderClient
  /** A path of this origin. */
  readonly returnTo: string
}

/**
 * A sign-in that another party began: `iss` names the provider by its issuer. Undefined where there is no `iss`.
 * Everything in it is a stranger's word, so it chooses among what is configured and leads nowhere else.
 */
export function readThirdPartyLogin(
  { config, providers }: Pick<Services, 'config' | 'providers'>,
  parameters: URLSearchParams,
): ThirdPartyLogin | undefined {
  const iss = parameters.get('iss')
  const target = parameters.get('target_link_uri')
  if (iss === null) {
    if (target !== null) throw new Refusal('bad_request', { cause: 'target_link_uri without iss' })
    return undefined
  }
  for (const name of ['provider', 'return_to', 'silent', 'idp']) {
    if (parameters.has(name)) throw new Refusal('bad_request', { cause: `${name} beside iss` })
  }
  const ofIssuer = [...providers.values()].filter((provider) => provider.config.issuer === iss)
  // One issuer may be configured twice, for two clients: then the default one is meant, or nobody can say which.
  const provider = ofIssuer.length === 1 ? ofIssuer[0] : ofIssuer.find(({ name }) => name === config.defaultProvider)
  if (!provider) throw new Refusal('bad_request', { cause: 'iss is the issuer of no provider, or of several' })
  return { provider, returnTo: localTarget(target, config) }
}

/** An open redirector is what this parameter would be if it were taken at its word. @see OpenID Connect Core §4 */
function localTarget(target: string | null, { basePath, origin }: Services['config']): string {
  const path = target?.startsWith(`${origin}/`) ? target.slice(origin.length) : target
  return safeReturnTo(path, basePath)
}

/**
 * `POST /auth/login`: the same by a form, which §4 allows. A form of another site shows no cookie of ours, so nothing begins
 * here: the window is sent to the GET, where all of its rules hold.
 */
export function createThirdPartyPost({ config }: Pick<Services, 'config'>) {
  return async (request: EndpointRequest): Promise<Respond> => {
    refuseUnlessNavigation(request)
    if (request.query !== '') throw new Refusal('bad_request', { cause: 'a query beside the form' })
    const form = readForm(request)
    refuseDuplicates(form)
    if (!form.has('iss')) throw new Refusal('bad_request', { cause: 'a form without iss' })
    const known = ['iss', 'login_hint', 'target_link_uri'].flatMap((name) => {
      const value = form.get(name)
      return value === null ? [] : [[name, value] as [string, string]]
    })
    return redirect(`${config.basePath}/login?${new URLSearchParams(known)}`)
  }
}
