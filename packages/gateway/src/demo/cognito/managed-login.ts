import { developmentPage, escapeHtml, type Page } from '../provider-pages.ts'
import type { Reply } from './service.ts'

export interface ManagedLoginInput {
  /** The parameters of the authorization request, which go along. */
  readonly parameters: URLSearchParams
  /** Names of the identity providers on offer. */
  readonly providers: readonly string[]
  /** Whether users of the pool itself may sign in. */
  readonly native: boolean
  readonly hint?: string | undefined
  readonly message?: string
  readonly formTargets: readonly string[]
}

/** The pool's own sign-in page: a button for each identity provider, and user name and password. */
export function managedLoginPage(input: ManagedLoginInput): Page {
  const { parameters, providers, native, hint = '', message, formTargets } = input
  const hidden = [...parameters]
    .filter(([name]) => name !== 'identity_provider')
    .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`)
    .join('')
  const buttons = providers.map(
    (name) => `<li><form method="get" action="/oauth2/authorize">${hidden}
<button class="user" name="identity_provider" value="${escapeHtml(name)}"><span class="who">${escapeHtml(name)}</span></button></form></li>`,
  )
  const form = `<form method="post" action="/login?${escapeHtml(parameters.toString())}">
<input class="password" name="username" placeholder="Username" aria-label="Username" autocomplete="username" value="${escapeHtml(hint)}" required>
<input class="password" type="password" name="password" placeholder="Password" aria-label="Password" autocomplete="current-password" required>
<p></p><button class="main" name="signIn" value="signIn">Sign in</button></form>`
  const body = `<h1>Sign in</h1><p>to a user pool that plays Amazon Cognito</p>
${message === undefined ? '' : `<p role="alert">${escapeHtml(message)}</p>`}
${buttons.length === 0 ? '' : `<ul>${buttons.join('\n')}</ul>`}
${native ? form : ''}`
  return developmentPage('Sign in', body, { formTargets })
}

export function pageReply({ html, csp }: Page, status = 200): Reply {
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': csp,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  }
  return { status, headers, body: html }
}
