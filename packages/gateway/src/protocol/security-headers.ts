import { withoutNonce, withReports } from './csp.ts'

/**
 * Headers that make the browser defend the application. Permissions-Policy is left to the application, which alone knows
 * what it uses. X-Frame-Options is not sent: every browser that has Fetch Metadata obeys frame-ancestors and ignores it.
 * @see OWASP ASVS 5.0 §3.4
 */

/** A year, for this host and below. */
const HSTS = ['strict-transport-security', 'max-age=31536000; includeSubDomains']

const DEFAULT_CSP = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

/** `same-origin` rather than the browsers' default: no other site learns even which origin a person comes from. `no-referrer`
 * would make browsers send `Origin: null` with a form post, and sign-out by form could not be told from a forgery. */
const REFERRER = ['referrer-policy', 'same-origin']

const SHARED = [...['x-content-type-options', 'nosniff'], ...['cross-origin-resource-policy', 'same-origin']]

/**
 * For the files that the gateway serves itself: name, value, …
 * @param options.csp as configured; object-src, base-uri and frame-ancestors are added as 'none' where it lacks them
 * @param options.host of the origin: loopback gets no HSTS, which would force every other port of it to https as well
 * @param options.reports path to which browsers report what the policy stopped
 */
export function securityHeaders(options: {
  https: boolean
  csp?: string
  host?: string
  reports?: string | undefined
}): string[] {
  return [
    ...transport(options),
    ...['content-security-policy', withoutNonce(policyOf(options))],
    ...reportingEndpoints(options),
    ...['cross-origin-opener-policy', 'same-origin'],
    ...REFERRER,
    ...SHARED,
  ]
}

/** For any answer of an upstream, where it did not decide itself. */
export function securityDefaults(options: { https: boolean; host?: string }): string[] {
  return [...transport(options), ...SHARED]
}

/** For an upstream's pages, where it did not decide itself. Mild, since the gateway doesn't know the page: no framing by others. */
export const pageDefaults: readonly string[] = ['content-security-policy', "frame-ancestors 'self'", ...REFERRER]

/** On every answer of an https origin. */
export function transport({ https, host }: { https: boolean; host?: string }): string[] {
  if (!https) return []
  return host !== undefined && /^(localhost|.*\.localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?$/i.test(host) ? [] : HSTS
}

/** The policy as it is configured, complete, and with its placeholder for a nonce if it has one. */
export function policyOf({
  https,
  csp,
  reports,
}: {
  https: boolean
  csp?: string
  reports?: string | undefined
}): string {
  const policy = csp === undefined ? DEFAULT_CSP : completeCsp(csp)
  return reports === undefined ? policy : withReports(policy, { path: reports, group: https ? group : undefined })
}

const group = 'csp'

/** Browsers know it over https only; where they don't, a policy that names the group would report nothing. */
function reportingEndpoints({ https, reports }: { https: boolean; reports?: string | undefined }): string[] {
  return https && reports !== undefined ? ['reporting-endpoints', `${group}="${reports}"`] : []
}

function completeCsp(csp: string): string {
  // A block of YAML has line breaks; a header has none.
  const policy = csp
    .replace(/[\s;]+$/, '')
    .replace(/\s+/g, ' ')
    .trim()
  const present = policy.split(/[;,]/).map((directive) => directive.trim().split(' ', 1)[0]?.toLowerCase())
  const missing = ['object-src', 'base-uri', 'frame-ancestors'].filter((name) => !present.includes(name))
  return [...(policy === '' ? [] : [policy]), ...missing.map((name) => `${name} 'none'`)].join('; ')
}
