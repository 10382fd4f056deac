import type { MintConfig, RouteConfig } from '../config/schema.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { type BoundToken, isBound } from './dpop-proofs.ts'
import { createExchangeCredential } from './exchange-credential.ts'
import { createFreshTokens } from './fresh-tokens.ts'

/** The value of the Authorization header, or a token that each request proves anew: see dpop-proofs.ts. */
export type Credential = string | BoundToken

/** What an upstream gets; synchronous while the token is good. */
export type CredentialOf = (
  request: GatewayRequest,
  session: LiveSession,
) => Credential | undefined | Promise<Refreshed>

export interface Refreshed {
  readonly credential: Credential
  /** As it is after the refresh, with which the provider may have told other roles. */
  readonly session: LiveSession
}

export function createCredential(route: Pick<RouteConfig, 'credential' | 'offline'>, services: Services): CredentialOf {
  const { credential } = route
  if (credential === 'none') return () => undefined
  if (typeof credential === 'object' && credential.kind === 'mint')
    return createMintCredential(credential.mint, services)
  // The whole request is signed, by what carries it out: see aws/signed-forward.ts.
  if (typeof credential === 'object' && credential.kind === 'aws') return () => undefined
  const fresh = createFreshTokens(route, services)
  if (typeof credential === 'object') return createExchangeCredential(credential.exchange, fresh, services)
  const given = ({ tokens }: LiveSession): Credential => {
    if (credential === 'id-token') return `Bearer ${tokens.idToken}`
    return isBound(tokens) ? tokens : `Bearer ${tokens.accessToken}`
  }
  return (request, session) => {
    const renewed = fresh.renew(request, session)
    return renewed === undefined ? given(session) : renewed.then((next) => ({ credential: given(next), session: next }))
  }
}

/** No token of the provider's takes part: this goes on for as long as the session does. */
function createMintCredential(config: MintConfig, { mint }: Services): CredentialOf {
  const tokenOf = mint.tokensOf(config)
  return (_request, session) => {
    const token = tokenOf(session)
    return typeof token === 'string'
      ? `Bearer ${token}`
      : token.then((minted) => ({ credential: `Bearer ${minted}`, session }))
  }
}
