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
<button class="user" name="identity_provider" value="${escapeHtml(name)}"><span class="who">Continue with ${escapeHtml(name)}</span></button></form></li>`,
  )
  const form = `<form method="post" action="/login?${escapeHtml(parameters.toString())}">
<label class="field">Username <input class="password" name="username" autocomplete="username" autocapitalize="none" spellcheck="false" value="${escapeHtml(hint)}" required></label>
<label class="field">Password <input class="password" type="password" name="password" autocomplete="current-password" required></label>
<button class="main" name="signIn" value="signIn">Sign in</button></form>`
  const or = native && buttons.length > 0 ? '<p class="or">or as a user of the pool itself</p>' : ''
  const body = `<h1>Sign in</h1><p>to continue to the application</p>
${message === undefined ? '' : `<p class="alert" role="alert">${escapeHtml(message)}</p>`}
${buttons.length === 0 ? '' : `<ul>${buttons.join('\n')}</ul>`}
${or}${native ? form : ''}`
  return developmentPage('Sign in · Amazon Cognito', body, { formTargets, plays: 'Amazon Cognito' })
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
