import { z } from 'zod'

/** Small texts that end up in paths, headers, cookies and requests: each allows only what is safe there. */

/** One segment: only unreserved characters (RFC 3986 §2.3), because those have one spelling on the wire; `@` has `%40` too. */
const segment = '[A-Za-z0-9._~-]+'
const pathExpected =
  'write a path such as /api/* or /health: letters, digits and . _ ~ - between slashes, * only as the last segment, no //, no . or .. segment'

/** `/a` (exactly), `/a/*` (it and everything below) or `/*`. */
export function routePath() {
  return text('path', new RegExp(`^(/${segment})*(/\\*?)?$`), pathExpected)
    .min(1, { error: pathExpected })
    .refine(withoutDotSegments, { error: pathExpected })
}

/** `/auth`: a path without wildcard and without a slash at its end. */
export function prefix() {
  const expected =
    'write a path such as /auth: letters, digits and . _ ~ - after slashes, no slash at the end, no *, no . or .. segment'
  return text('path', new RegExp(`^(/${segment})+$`), expected).refine(withoutDotSegments, { error: expected })
}

function withoutDotSegments(path: string): boolean {
  return !path.split('/').some((part) => part === '.' || part === '..')
}

/** What a request of the gateway's own asks for: `/healthz`, with a query if need be. */
export function requestPath() {
  return text('path', /^\/[!#-~]*$/, 'write a path such as /healthz').refine((path) => !path.includes('#'), {
    error: 'write a path such as /healthz, without #',
  })
}

/** A DNS name as it stands in a certificate; an IP address is no server name. @see RFC 6066 §3 */
export function serverName() {
  return text(
    'host name',
    /^(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9.-]{0,252})$/,
    'write a host name, such as api.internal',
  )
}

/** A method as it stands on the wire. TRACE reflects headers and CONNECT opens tunnels, so neither is ever forwarded. */
export function method() {
  return text('method', /^[A-Z][A-Z-]*$/, 'write a method in capitals, such as GET or POST').refine(
    (name) => name !== 'TRACE' && name !== 'CONNECT',
    { error: 'TRACE and CONNECT are never forwarded; remove it' },
  )
}

/** Provider names stand in URLs: `/auth/callback/{provider}`. */
export function providerName() {
  return text('name', /^[a-z0-9-]+$/, 'name a provider in small letters, digits and hyphens: it becomes part of URLs')
}

/** Roles travel to upstreams as a comma-separated header. */
export function role() {
  return text('role', /^[A-Za-z0-9_.:/@-]+$/, 'write a role in letters, digits and _ . : / @ - (no spaces, no commas)')
}

/** A cookie of an upstream that may reach the browser; the gateway's own names are taken. */
export function cookieName() {
  return text('cookie name', /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'write the name of a cookie, without its value').refine(
    (name) => !/^__Host-(Http-session|session|bound|login-)/i.test(name),
    { error: "is one of the gateway's own cookies; an upstream may not set it" },
  )
}

/** Space-separated scopes; without `openid` there would be no ID token. */
export function scope() {
  const expected = 'write scopes with one space between, among them openid'
  return text('scopes', /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/, expected).refine(
    (scopes) => scopes.split(' ').includes('openid'),
    { error: expected },
  )
}

/** Space-separated scopes of a token for an upstream. @see RFC 6749 §3.3 */
export function scopes() {
  return text(
    'scopes',
    /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/,
    'write scopes with one space between',
  )
}

/** For whom a token is. @see RFC 7519 §4.1.3 · RFC 8693 §2.1 */
export function audience() {
  return text(
    'audience',
    /^[\x21-\x7e]{1,512}$/,
    'write the name of the API, such as https://orders.example.com or orders',
  )
}

/** For which address a token is. @see RFC 8707 §2 */
export function resource() {
  const expected = 'write an absolute URI without #, such as https://orders.example.com/'
  return text('URI', /^[a-z][a-z0-9+.-]*:[\x21\x22\x24-\x7e]{1,512}$/i, expected).refine((uri) => URL.canParse(uri), {
    error: expected,
  })
}

/** A value that can stand in a header: visible ASCII and spaces, so no line can be forged. */
export function headerValue() {
  return text(
    'header value',
    /^[\x20-\x7e]+$/,
    'write one line of plain ASCII; in the file it may be several, with >- before them',
  )
}

/** Any text but the empty one. */
export function filled(title = 'text') {
  return z.string().min(1, { error: 'is empty; write a value or remove the key' }).meta({ title })
}

function text(title: string, pattern: RegExp, expected: string) {
  return z.string({ error: expected }).regex(pattern, { error: expected, abort: true }).meta({ title })
}
