import type { Behind, KindSettings } from './kind.ts'

/** The identity providers behind a provider that its configuration names, in its order, each once. */
export function listed({ identityProvider, identityProviders = [], homeRealms = {} }: KindSettings): Behind[] {
  const all = [...identityProviders, ...(identityProvider ? [identityProvider] : []), ...Object.values(homeRealms)]
  return all.filter((one, at) => all.findIndex((other) => nameOf(other) === nameOf(one)) === at)
}

/** The one of that name; undefined where it is not listed. */
export function behindNamed(settings: KindSettings, name: string): Behind | undefined {
  return listed(settings).find((one) => nameOf(one) === name)
}

/** What stands in `?idp=`. */
export function nameOf(behind: Behind): string {
  return typeof behind === 'string' ? behind : behind.identifier
}
