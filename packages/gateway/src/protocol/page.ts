import type { Respond } from '../decision.ts'
import { type ErrorCode, errors } from '../errors.ts'
import { STYLE, STYLE_HASH } from './page-style.ts'
import { readTarget } from './target.ts'

/**
 * What went wrong, for a person: title, advice, code and request id; nothing of the request or the cause. No script and
 * nothing from elsewhere. `refresh` and `retryHref` are paths of this origin; any other is left out.
 */
export function errorPage(
  code: ErrorCode,
  options: {
    readonly requestId?: string
    /** In place of the hint of the error table. */
    readonly advice?: string
    readonly retryHref?: string
    readonly refresh?: string
    readonly headers?: readonly string[]
  } = {},
): Respond {
  const { status, title, hint } = errors[code]
  const { requestId } = options
  const retryHref = localPath(options.retryHref)
  const label = labels[code] ?? 'Try again'
  const request = requestId === undefined ? '' : ` · Request <code>${escapeHtml(requestId)}</code>`
  const retry = retryHref === undefined ? '' : `<a class="button" href="${escapeHtml(retryHref)}">${label}</a>`
  const headers = [...(options.headers ?? [])]
  if (requestId !== undefined) headers.push('X-Request-Id', requestId)
  return page(status, headers, {
    title,
    refresh: localPath(options.refresh),
    body: `<main>
<p class="stub" aria-hidden="true">${status}</p>
<div class="text">
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(options.advice ?? forPeople[code] ?? hint)}</p>
<p class="actions">${retry}<a href="/">Go to the start page</a></p>
<p class="small">Code <code>${code}</code>${request}</p>
</div>
</main>`,
  })
}

/**
 * A page that opens `href` (path and query, of this origin) anew at once. After a navigation from another site the
 * browser hides SameSite=Strict cookies; a navigation that this page starts is same-site, and shows them.
 */
export function bouncePage(href: string): Respond {
  const path = localPath(href) ?? '/'
  return page(200, [], {
    title: 'One moment',
    refresh: path,
    body: `<main class="brief">
<div class="text">
<h1>One moment…</h1>
<p>If nothing happens, <a href="${escapeHtml(path)}">continue here</a>.</p>
</div>
</main>`,
  })
}

const labels: Partial<Record<ErrorCode, string>> = {
  step_up_required: 'Sign in again',
  login_required: 'Sign in',
  session_expired: 'Sign in',
  login_failed: 'Start again',
  login_state_mismatch: 'Start again',
}

/** The hints of the error table that speak to developers, said to the person at the window. */
const forPeople: Partial<Record<ErrorCode, string>> = {
  bad_request: 'The address or the request could not be understood. Check the address, or go back and try again.',
  login_required: 'Please sign in to see this page.',
  session_expired: 'You were signed out. Please sign in again.',
  step_up_required: 'This page asks for a stronger or a more recent sign-in.',
  access_denied: 'Your account may not open this page. If you think it should, ask whoever manages your access.',
  csrf_rejected: 'For your safety this request was not carried out. Go to the start page and try it from there.',
  login_not_navigation: 'Please open the sign-in in the window itself.',
  not_found: 'There is nothing at this address.',
  method_not_allowed: 'This address can not be used in this way.',
  payload_too_large: 'What was sent is too large.',
  client_too_slow: 'What you sent came too slowly. Try again, over a better connection if you can.',
  upstream_busy: 'Too much is asked for right now. Wait a moment, then try again.',
  too_many_requests: 'A lot was asked from here in a short time. Wait a moment, then try again.',
  misdirected_request: 'This address does not belong to the site that you asked for.',
  internal_error: 'This is our fault, not yours. Try again shortly; if it stays, report the request number below.',
}

/** One of the gateway's own pages. `policy`: what the page needs beyond its style, and who may be posted to. */
export function page(
  status: number,
  headers: readonly string[],
  content: { title: string; refresh: string | undefined; body: string; policy?: string },
): Respond {
  const refresh =
    content.refresh === undefined ? '' : `<meta http-equiv="refresh" content="0;url=${escapeHtml(content.refresh)}">\n`
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${refresh}<title>${escapeHtml(content.title)}</title>
<style>${STYLE}</style>
</head>
<body>
${content.body}
</body>
</html>
`
  const { policy = "form-action 'none'" } = content
  const csp = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; ${policy}; frame-ancestors 'none'`
  return { kind: 'respond', status, headers: [...HEADERS, 'Content-Security-Policy', csp, ...headers], body }
}

const HEADERS = [
  ...['Content-Type', 'text/html; charset=utf-8'],
  ...['Cache-Control', 'no-store'],
  ...['Referrer-Policy', 'no-referrer'],
  ...['X-Content-Type-Options', 'nosniff'],
  ...['Cross-Origin-Opener-Policy', 'same-origin'],
  ...['Cross-Origin-Resource-Policy', 'same-origin'],
].flat()

/** A link that leaves the site, or runs script, would make the error page the attack. */
function localPath(href: string | undefined): string | undefined {
  return href !== undefined && readTarget(href).kind === 'target' ? href : undefined
}

/** Safe in text and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}
