import { readTarget } from './target.ts'

const MAX_LENGTH = 1024

/**
 * Where to go after a sign-in: a path of this origin, else `/`. The path must be one that the gateway itself would
 * serve, so `//evil`, `/\evil`, `/%09/evil`, `/%2fevil` and their like fall to the same check as any request; query and
 * fragment may follow. Nothing is repaired.
 * @param avoid the base path of the sign-in endpoints: to return there is a redirect loop
 * @see RFC 9700 §4.11.1 (open redirection)
 */
export function safeReturnTo(value: string | null | undefined, avoid = ''): string {
  if (value === null || value === undefined || value.length > MAX_LENGTH) return '/'
  const hash = value.indexOf('#')
  if (hash !== -1 && !isPlainFragment(value, hash + 1)) return '/'
  const target = readTarget(hash === -1 ? value : value.slice(0, hash))
  if (target.kind !== 'target') return '/'
  if (avoid !== '' && isUnder(target.path, avoid)) return '/'
  return value
}

function isUnder(path: string, base: string): boolean {
  return path === base || path.startsWith(base.endsWith('/') ? base : `${base}/`)
}

/** Visible ASCII and no second `#`: nothing that could end a header line or be read as a new address. */
function isPlainFragment(value: string, start: number): boolean {
  for (let i = start; i < value.length; i++) {
    const c = value.charCodeAt(i)
    if (c <= 0x20 || c >= 0x7f || c === 0x23) return false
  }
  return true
}
