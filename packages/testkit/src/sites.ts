import { getPublicSuffix } from 'tough-cookie'

/** True when scheme, host and port are the same. */
export function sameOrigin(a: string | URL, b: string | URL): boolean {
  return new URL(a).origin === new URL(b).origin
}

/** True when scheme and registrable domain are the same; ports don't count. An address or a bare name is its own site. */
export function sameSite(a: string | URL, b: string | URL): boolean {
  return siteOf(new URL(a)) === siteOf(new URL(b))
}

function siteOf(url: URL): string {
  const bare = /^[\d.]+$|^\[|^[^.]+$/.test(url.hostname)
  const domain = bare ? undefined : getPublicSuffix(url.hostname, { ignoreError: true, allowSpecialUseDomain: true })
  return `${url.protocol}//${domain ?? url.hostname}`
}
