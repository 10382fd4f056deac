/**
 * Every error that a client of the gateway can see: one row each. The code is stable, the hint says what to do,
 * and the cause stays in the log. `docs/errors.md` is generated from this table.
 * @see RFC 9457 (problem details)
 */
interface ErrorRow {
  readonly status: number
  /** What happened, in a few words: the `title` of the problem. */
  readonly title: string
  /** What the person or the developer can do about it. */
  readonly hint: string
}

export const errors = {
  bad_request: {
    status: 400,
    title: 'Bad request',
    hint: 'The request could be read in more than one way, so it was refused. Send one Host, one framing and a plain path.',
  },
  login_state_mismatch: {
    status: 400,
    title: 'Sign-in could not be completed',
    hint: 'This sign-in began in another browser, was used already, or expired. Start again.',
  },
  login_failed: {
    status: 400,
    title: 'Sign-in was refused',
    hint: 'The identity provider refused the sign-in, or what it sent could not be trusted. Start again.',
  },
  password_rejected: {
    status: 400,
    title: 'Password refused',
    hint: 'The member reason says why the user pool refused it: the current password is another, or the new one breaks a rule.',
  },
  attributes_rejected: {
    status: 400,
    title: 'Attributes refused',
    hint: 'The member reason says which attribute the user pool refused, and why.',
  },
  logout_token_invalid: {
    status: 400,
    title: 'Logout token refused',
    hint: 'The logout token breaks a rule of OpenID Connect Back-Channel Logout. The log of the gateway says which.',
  },
  invalid_parameter: {
    status: 400,
    title: 'Parameter refused',
    hint: 'The member reason says which parameter of the admin API is wrong, and what to write instead.',
  },
  revocation_invalid: {
    status: 400,
    title: 'Revocation request refused',
    hint: 'Send JSON with sub_id, in the format email, iss_sub or opaque. The log of the gateway says what is wrong.',
  },
  admin_token_required: {
    status: 401,
    title: 'Admin token required',
    hint: 'Send Authorization: Bearer with the token that is configured as admin.token.',
  },
  revocation_unauthorized: {
    status: 401,
    title: 'Revocation request not authenticated',
    hint: 'Send a token that the identity provider signed for this address, once. The log of the gateway says what is wrong.',
  },
  revocation_forbidden: {
    status: 403,
    title: 'Revocation out of reach',
    hint: 'The subject is no user whose sessions this caller may end. See reaches under signals.revocation.',
  },
  login_required: { status: 401, title: 'Sign-in required', hint: 'Open loginUrl in the browser window.' },
  session_expired: {
    status: 401,
    title: 'Session ended',
    hint: 'The session ended. Open loginUrl in the browser window.',
  },
  step_up_required: {
    status: 401,
    title: 'Stronger sign-in required',
    hint: 'Open stepUpUrl in the browser window.',
  },
  access_denied: {
    status: 403,
    title: 'Access denied',
    hint: 'This account may not do that: it lacks a role, or the action is not for accounts of its kind.',
  },
  admin_off: {
    status: 403,
    title: 'The admin API is off',
    hint: 'Set admin.token in the configuration: without it /metrics and /api answer nobody.',
  },
  session_limit: {
    status: 403,
    title: 'Too many sessions',
    hint: 'This account is signed in on as many devices as it may be. Sign out on one of them, then sign in again.',
  },
  forward_auth_refused: {
    status: 403,
    title: 'Question refused',
    hint: 'Forward-auth answers proxies in trustedProxies, on one X-Forwarded-Method, -Uri, -Host and -Proto each, for this origin.',
  },
  csrf_rejected: {
    status: 403,
    title: 'Request refused',
    hint: 'Send the header X-CSRF: 1 from a page of this origin; to a route with csrf: token, X-CSRF-Token or a form field csrf_token.',
  },
  origin_rejected: {
    status: 403,
    title: 'Handshake refused',
    hint: 'Open the WebSocket from a page of an origin that the route lists under origins.',
  },
  login_not_navigation: {
    status: 403,
    title: 'Sign-in must be opened in the window',
    hint: 'Navigate to the login address: location.assign(loginUrl). Images, frames, prefetch and fetch() start no sign-in.',
  },
  not_found: { status: 404, title: 'Not found', hint: 'No route, file or session is at this address.' },
  method_not_allowed: { status: 405, title: 'Method not allowed', hint: 'Use one of the methods in the Allow header.' },
  client_too_slow: {
    status: 408,
    title: 'Request too slow',
    hint: 'It came so slowly that others would have had to wait for it. Send it again, over a better connection or in smaller parts.',
  },
  payload_too_large: { status: 413, title: 'Request too large', hint: 'Send less, or raise maxBody of the route.' },
  misdirected_request: {
    status: 421,
    title: 'Misdirected request',
    hint: 'The Host header is not that of the configured origin.',
  },
  upgrade_required: {
    status: 426,
    title: 'WebSocket only',
    hint: 'This address speaks WebSocket, version 13: open it with new WebSocket(url).',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    hint: 'Wait as many seconds as Retry-After says, then go on more slowly.',
  },
  too_many_streams: {
    status: 429,
    title: 'Too many open streams',
    hint: 'This session has as many WebSockets and event streams open as it may. Close some, or share one between tabs.',
  },
  headers_too_large: {
    status: 431,
    title: 'Request headers too large',
    hint: 'Send fewer or smaller headers; clear the cookies of this site if they piled up.',
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong',
    hint: 'The gateway failed. Its log has the cause under this request id.',
  },
  token_refused: {
    status: 502,
    title: 'No token for the API',
    hint: 'The identity provider issues no token for this API. The log of the gateway says why; its configuration, or the one of the provider, has to change.',
  },
  signature_refused: {
    status: 502,
    title: 'AWS refused the request',
    hint: "AWS took the gateway's signature for none, or its credentials. The log of the gateway says why; its clock, the region or the service of the route may be wrong.",
  },
  upstream_unavailable: { status: 502, title: 'The API can not be reached', hint: 'Try again shortly.' },
  upstream_busy: {
    status: 503,
    title: 'The API is busy',
    hint: 'Too many requests wait for it already. Wait as many seconds as Retry-After says, then try again.',
  },
  provider_unavailable: {
    status: 503,
    title: 'Sign-in is unavailable',
    hint: 'The identity provider can not be reached. Nobody was signed out; try again shortly.',
  },
  store_unavailable: {
    status: 503,
    title: 'Sessions are unavailable',
    hint: 'The session store can not be reached. Nobody was signed out; try again shortly.',
  },
  upstream_timeout: { status: 504, title: 'The API did not answer in time', hint: 'Try again shortly.' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errors

export interface RefusalOptions {
  /** For the log only. */
  readonly cause?: unknown
  /** For the person, in place of the table's hint: words of ours, never of somebody else. */
  readonly advice?: string
  /** Members added to the problem document, such as `loginUrl`. */
  readonly members?: Readonly<Record<string, string>>
  /** Values of Set-Cookie: what the browser should forget with the refusal. */
  readonly setCookies?: readonly string[]
  /** Other headers: name, value, … */
  readonly headers?: readonly string[]
  /** Where the person may try again (a path of this origin), with all that the refused request knew. */
  readonly retry?: string
  /** Where the page looks again at once (a path of this origin), for what the browser hid from us the first time. */
  readonly refresh?: string
}

/**
 * An expected refusal on its way to the client. Anything else that is thrown is a fault and becomes `internal_error`.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: ErrorCode
  readonly options: RefusalOptions

  constructor(code: ErrorCode, options: RefusalOptions = {}) {
    super(code, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.options = options
  }
}
