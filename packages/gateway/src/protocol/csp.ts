/**
 * Content-Security-Policy with a nonce for each page: the operator's scripts and styles run because the file that was deployed
 * has them, and what somebody injects does not. @see CSP Level 3 §7.1, §8.1
 */

/** What stands in a configured policy for the nonce of the page. */
export const nonceSource = "'nonce-{nonce}'"

/** Why a policy can't be used, or undefined. */
export function cspProblem(csp: string): string | undefined {
  const rest = csp.replaceAll(nonceSource, '')
  if (/[{}]/.test(rest)) return `a placeholder is ${nonceSource}, with its quotation marks; write it so`
  if (/'nonce-/i.test(rest))
    return `a nonce that stays the same protects from nothing; write ${nonceSource}, and each page gets its own`
  return undefined
}

export function wantsNonces(csp: string | undefined): csp is string {
  return csp?.includes(nonceSource) === true
}

export function withNonce(csp: string, nonce: string): string {
  return csp.replaceAll('{nonce}', nonce)
}

/**
 * For what is no page, and so has no nonce. A directive of which nothing is left allows nothing. `'unsafe-inline'` beside a
 * nonce is for old browsers, and the others ignore it; without the nonce it would let every script of an SVG run.
 * @see CSP Level 3 §6.7.3.2
 */
export function withoutNonce(csp: string): string {
  const without = (directive: string) => {
    const words = directive.split(' ').filter((word) => word !== nonceSource && !/^'unsafe-inline'$/i.test(word))
    return words.filter((word) => word !== '').length === 1 ? `${words.join(' ')} 'none'` : words.join(' ')
  }
  return csp
    .split(/([;,])/)
    .map((part) => (part.includes(nonceSource) ? without(part) : part))
    .join('')
}

/** The policy reports what it stopped to `path`. `group`: a name of Reporting-Endpoints, which browsers prefer where they know it. */
export function withReports(csp: string, { path, group }: { path: string; group: string | undefined }): string {
  const told = `; report-uri ${path}${group === undefined ? '' : `; report-to ${group}`}`
  // A comma stands between policies, and each of them reports for itself. @see CSP Level 3 §2.2.1
  return csp
    .split(',')
    .map((policy) => policy + told)
    .join(',')
}

/** Whether it says itself where reports go. */
export function namesReports(csp: string): boolean {
  return /(?:^|[;,])\s*report-(?:uri|to)\b/i.test(csp)
}
