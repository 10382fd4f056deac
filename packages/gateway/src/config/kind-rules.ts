import { listed, nameOf } from '../providers/behind.ts'
import type { KindSettings } from '../providers/kind.ts'
import { kindOf, kinds } from '../providers/kinds.ts'
import type { WrittenProvider } from './provider-schema.ts'
import type { Path, Review } from './review.ts'

/** What each kind needs, and what belongs to others. */
export function reviewKind(at: Path, provider: WrittenProvider, { sound, problem }: Review): void {
  if (!sound(at, 'kind')) return
  const kind = kindOf(provider)
  for (const key of allSettings) {
    const use = kind.settings[key]
    if (!sound(at, key)) continue
    if (provider[key] === undefined && use === true) problem([...at, key], `is missing; ${missing[key]}`)
    if (provider[key] !== undefined && use === undefined) {
      problem([...at, key], `is for kind: ${kindsWith(key).join(' or ')}; remove it`)
    }
  }
  reviewIssuer(at, provider, { sound, problem })
  reviewBehind(at, provider, { sound, problem })
  reviewGroupsApi(at, provider, { sound, problem })
}

function reviewIssuer(at: Path, provider: WrittenProvider, { sound, problem }: Pick<Review, 'sound' | 'problem'>) {
  const kind = kindOf(provider)
  const others = allSettings.filter((key) => kind.settings[key] !== undefined)
  if (!sound(at, 'issuer', ...others)) return
  const { issuer } = provider
  if (provider.domain?.startsWith('http:') && !(issuer ?? kind.issuer?.(provider))?.startsWith('http:')) {
    problem([...at, 'domain'], 'is plain http, and the issuer is https; write https, or an issuer on loopback too')
  }
  if (issuer === undefined) {
    // Where a setting that it follows from is missing, that one is told of already.
    const told = others.some((key) => kind.settings[key] === true && provider[key] === undefined)
    if (!told && kind.issuer?.(provider) === undefined) {
      problem([...at, 'issuer'], `is missing; write it like ${kind.issuerExample}`)
    }
    return
  }
  const message = kind.issuerProblem?.(issuer)
  if (message !== undefined) problem([...at, 'issuer'], message)
  if (provider.tenant !== undefined && kind.issuer?.(provider) !== issuer) {
    problem([...at, 'tenant'], 'is another tenant than that of issuer; remove one of the two')
  }
}

function reviewBehind(at: Path, provider: WrittenProvider, { sound, problem }: Pick<Review, 'sound' | 'problem'>) {
  if (!sound(at, 'identityProvider', 'identityProviders', 'homeRealms', 'authorizationParams')) return
  const { identityProvider, identityProviders = [], homeRealms, authorizationParams } = provider
  if (identityProvider !== undefined && homeRealms !== undefined) {
    problem([...at, 'homeRealms'], 'identityProvider decides for everybody; remove one of the two')
  }
  const names = identityProviders.map(nameOf)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) problem([...at, 'identityProviders'], `${JSON.stringify(twice)} is there twice; remove one`)
  for (const name of ['identity_provider', 'idp_identifier']) {
    if (authorizationParams[name] !== undefined && listed(provider).length > 0) {
      problem([...at, 'authorizationParams', name], 'another key says which identity provider; remove it here')
    }
  }
}

/** Okta takes a user's token at its API only if the organization's own server issued it, and for this. */
function reviewGroupsApi(at: Path, provider: WrittenProvider, { sound, problem }: Pick<Review, 'sound' | 'problem'>) {
  const { groupsApi, issuer, kind, scope } = provider
  if (groupsApi === undefined || kind !== 'okta' || !sound(at, 'groupsApi', 'issuer', 'scope')) return
  if (groupsApi.token !== undefined || issuer === undefined) return
  const needed = 'okta.users.read'
  if (new URL(issuer).pathname !== '/') {
    problem([...at, 'groupsApi'], 'needs a token: Okta’s API takes no access tokens of a custom authorization server')
  } else if (!scope?.split(' ').includes(needed)) {
    problem([...at, 'groupsApi'], `needs a token, or ${needed} in scope to be asked with the user’s own access token`)
  }
}

/** What a user can do here only with a further scope. */
export function warnOfKind(at: Path, provider: WrittenProvider, { sound, warn }: Review): void {
  if (!sound(at, 'kind', 'scope', 'domain', 'userPoolId')) return
  const kind = kindOf(provider)
  const account = kind.account?.({ ...provider, issuer: provider.issuer ?? '' })
  if (account === undefined || (provider.scope ?? kind.scope).split(' ').includes(account.scope)) return
  warn(
    [...at, 'scope'],
    `lacks ${account.scope}: change of passwords, attributes and sign-out everywhere at the user pool will be refused; write scope: ${provider.scope ?? kind.scope} ${account.scope}`,
  )
}

const missing: Partial<Record<keyof KindSettings, string>> = {
  userPoolId: 'write the id of the user pool, such as eu-west-1_AbCdEf123',
  domain:
    "write the user pool's domain, such as https://login.example.com or https://NAME.auth.REGION.amazoncognito.com",
}

const allSettings = [
  ...new Set(Object.values(kinds).flatMap(({ settings }) => Object.keys(settings) as (keyof KindSettings)[])),
]

function kindsWith(key: keyof KindSettings): string[] {
  return Object.entries(kinds).flatMap(([name, { settings }]) => (settings[key] === undefined ? [] : [name]))
}
