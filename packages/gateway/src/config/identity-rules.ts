import { kindOf } from '../providers/kinds.ts'
import type { Path, Review } from './review.ts'
import type { Sections } from './schema.ts'

/** Who may be linked with whom: every name is that of a provider, and what a rule goes by is told there. */
export function reviewIdentity({ identity, providers }: Sections, { sound, problem, warn }: Review): void {
  if (!sound([], 'providers') || !sound(['identity'], 'link')) return
  if (typeof providers !== 'object' || providers === null || !Array.isArray(identity?.link)) return
  const names = Object.keys(providers)
  identity.link.forEach((rule, index) => {
    rule.providers.forEach((name, place) => {
      const at: Path = ['identity', 'link', index, 'providers', place]
      const provider = providers[name]
      if (provider === undefined) problem(at, `there is no provider ${name}; write ${names.join(' or ')}`)
      else if (rule.providers.indexOf(name) < place) problem(at, `${name} is there twice; remove one`)
      else if (!(provider.scope ?? kindOf(provider).scope).split(' ').includes('email')) {
        warn(at, `${name} is not asked for addresses, so its users are never linked; add email to its scope`)
      } else if (provider.kind === 'entra') {
        warn(at, `${name} does not tell whether an address is verified (email_verified), so its users are never linked`)
      }
    })
  })
}
