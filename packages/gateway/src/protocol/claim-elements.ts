/**
 * A claim as a list. Providers flatten lists into `a,b` or `[a, b]`; they are taken apart again and compared element by
 * element, never as a substring: `admin` is not in `nonadmin`.
 */
export function elementsOf(claim: unknown): string[] {
  if (claim === undefined || claim === null) return []
  if (Array.isArray(claim)) return claim.filter((element) => typeof element === 'string')
  if (typeof claim === 'string') {
    const list = claim.startsWith('[') && claim.endsWith(']') ? claim.slice(1, -1) : claim
    return list
      .split(',')
      .map((element) => element.trim())
      .filter((element) => element !== '')
  }
  return typeof claim === 'object' ? [] : [String(claim)]
}
