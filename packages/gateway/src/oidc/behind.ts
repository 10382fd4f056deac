import { Refusal } from '../errors.ts'
import { behindNamed, nameOf } from '../providers/behind.ts'
import type { Behind } from '../providers/kind.ts'
import { kindOf } from '../providers/kinds.ts'
import { normaliseEmail } from '../session/email.ts'
import type { SessionRecord } from '../session/record.ts'
import type { ProviderClient } from './provider-client.ts'

type Config = ProviderClient['config']

/** At which identity provider behind the provider a sign-in takes place. */
export type Chosen =
  | { readonly kind: 'behind'; readonly behind: Behind }
  /** The provider asks, or has none behind it. */
  | { readonly kind: 'open' }
  /** The domain of the user's address decides, and it is not known yet. */
  | { readonly kind: 'ask'; readonly why: 'nothing-said' | 'no-address' }

/**
 * By the link (`idp=`, of those that are listed), by the configuration, or by the domain of the address.
 * @throws Refusal for a name that is not listed: a link must not send users to whatever else the provider is connected with
 */
export function chooseBehind(config: Config, asked: { idp: string | null; loginHint: string | null }): Chosen {
  const { homeRealms, identityProvider } = config
  if (asked.idp !== null) {
    const behind = behindNamed(config, asked.idp)
    if (behind === undefined) throw new Refusal('bad_request', { cause: 'idp is not listed under identityProviders' })
    return { kind: 'behind', behind }
  }
  if (identityProvider !== undefined) return { kind: 'behind', behind: identityProvider }
  if (homeRealms === undefined) return { kind: 'open' }
  if (asked.loginHint === null) return { kind: 'ask', why: 'nothing-said' }
  const email = normaliseEmail(asked.loginHint.trim())
  if (email === undefined) return { kind: 'ask', why: 'no-address' }
  const domain = email.slice(email.lastIndexOf('@') + 1)
  const behind = Object.hasOwn(homeRealms, domain) ? homeRealms[domain] : undefined
  // Nothing of the user is looked up: any address of a domain gets the same answer, whoever it belongs to.
  return behind === undefined ? { kind: 'open' } : { kind: 'behind', behind }
}

/** Where the user of a session signed in before: a step-up that asks elsewhere would come back with somebody else. */
export function behindOf(config: Config, { federated }: Pick<SessionRecord, 'federated'>): Behind | undefined {
  const { behind, ownUsers } = kindOf(config)
  if (!behind) return undefined
  const name = federated?.[0]?.provider
  if (name !== undefined) return name
  return ownUsers === undefined ? undefined : (behindNamed(config, ownUsers) ?? config.identityProvider)
}

/** What is added to an address that starts the sign-in anew; nothing where a link may not say so. */
export function idpParameter(config: Config, behind: Behind | undefined): string {
  const name = behind === undefined ? undefined : nameOf(behind)
  if (name === undefined || behindNamed(config, name) === undefined) return ''
  return `&idp=${encodeURIComponent(name)}`
}
