import type { JWTVerifyGetKey } from 'jose'
import { createIssuerKeys } from '../oidc/issuer-keys.ts'
import type { Services } from '../services.ts'
import { createReach, type Reach } from './reach.ts'
import { type RevocationTokenRules, verifyRevocationToken } from './revocation-token.ts'

/** Somebody who may call for the revocation of all that a user has here. */
export interface RevocationCaller {
  readonly name: string
  readonly reach: Reach
  /** Resolves to the token's `jti`; rejects with what is wrong with it. */
  verify(token: string): Promise<string>
}

type Parts = Pick<Services, 'config' | 'log' | 'now' | 'providers'>

/** By the name at the end of the endpoint's address: the providers, and who else is configured. */
export function createRevocationCallers(services: Parts): ReadonlyMap<string, RevocationCaller> {
  const names = new Set([...services.providers.keys(), ...Object.keys(services.config.signals.revocation)])
  return new Map([...names].map((name) => [name, createCaller(name, services)] as const))
}

function createCaller(name: string, { config, log, now, providers }: Parts): RevocationCaller {
  const entries = config.signals.revocation
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined
  const provider = providers.get(name)
  const issuer = entry?.issuer ?? provider?.config.issuer ?? ''
  const rules: Omit<RevocationTokenRules, 'now'> = {
    issuer,
    audience: entry?.audience ?? `${config.origin}${config.basePath}/global-token-revocation/${name}`,
    caller: entry?.caller,
    clientId: provider?.config.clientId,
  }
  const onStale = (err: unknown) =>
    log.warn({ event: 'provider_unavailable', provider: name, err }, 'an older discovery document serves on')
  const keyOf: JWTVerifyGetKey =
    provider && entry?.jwksUri === undefined && issuer === provider.config.issuer
      ? provider.keyOf
      : createIssuerKeys({ issuer, jwksUri: entry?.jwksUri, metadata: 'openid-configuration' }, { now, onStale }).keyOf
  return {
    name,
    reach: createReach(config, {
      own: provider?.name,
      issuer,
      reaches: entry?.reaches ?? 'own',
      identityProvider: entry?.identityProvider,
    }),
    verify: (token) => verifyRevocationToken(token, keyOf, { ...rules, now: now() }),
  }
}
