import { createHash } from 'node:crypto'
import type { DevelopmentUser } from './provider-users.ts'

/** A page of the development provider: the markup and the policy under which a browser may show it. */
export interface Page {
  readonly html: string
  readonly csp: string
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => escapes[character] ?? '')
}

const style = `
:root{color-scheme:light dark;--bg:#f3f4f7;--card:#fff;--text:#1b1f2a;--soft:#667085;--line:#e3e6ec;--hover:#f6f7fb;--accent:#4353d9;--note:#fff6dd;--note-text:#6f5200;--field:#8a90a0;--alert:#fdebe9;--alert-text:#9c1c18}
@media (prefers-color-scheme:dark){:root{--bg:#11131a;--card:#1a1d27;--text:#eceef4;--soft:#98a1b3;--line:#2c3140;--hover:#222634;--accent:#98a4ff;--note:#332a10;--note-text:#f2d684;--field:#737c92;--alert:#411e26;--alert-text:#ff9d94}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;grid-template-columns:minmax(0,1fr);place-items:center;padding:24px;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{width:100%;max-width:26rem;background:var(--card);border:1px solid var(--line);border-radius:16px;padding:32px;box-shadow:0 12px 40px rgb(0 0 0/.08)}
h1{font-size:1.375rem;line-height:1.3;margin:0 0 4px}
p{margin:0 0 20px;color:var(--soft)}
.note{margin:0 0 24px;padding:8px 12px;border-radius:8px;background:var(--note);color:var(--note-text);font-size:.8125rem}
form{margin:0}
ul{list-style:none;margin:0 0 20px;padding:0;display:grid;grid-template-columns:minmax(0,1fr);gap:8px}
button{font:inherit;color:inherit;cursor:pointer}
.user{width:100%;display:flex;gap:12px;align-items:center;text-align:left;padding:12px;border:1px solid var(--line);border-radius:12px;background:none}
.user:hover{background:var(--hover)}
button:focus-visible,input:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.user[data-hinted]{border-color:var(--accent)}
.face{flex:none;width:40px;height:40px;border-radius:50%;display:grid;place-items:center;background:var(--accent);color:var(--card);font-weight:600}
.user span{min-width:0}
.who,.more{display:block;overflow-wrap:anywhere}
.who{font-weight:600}
.more{color:var(--soft);font-size:.8125rem}
.password{width:100%;margin-top:6px;padding:9px 12px;font:inherit;font-weight:400;font-size:1rem;color:inherit;background:none;border:1px solid var(--field);border-radius:10px}
.field{display:block;margin:0 0 14px;font-size:.875rem;font-weight:600}
.or{display:flex;align-items:center;gap:12px;margin:0 0 16px;font-size:.875rem}.or::before,.or::after{content:'';flex:1;border-top:1px solid var(--line)}
.alert{margin:0 0 16px;padding:8px 12px;border-radius:8px;background:var(--alert);color:var(--alert-text);font-size:.9375rem}
.plain{border:0;background:none;padding:0;color:var(--soft);text-decoration:underline}
.main{padding:10px 18px;border:0;border-radius:10px;background:var(--accent);color:var(--card);font-weight:600;margin-right:16px}
dl{margin:0;font-size:.875rem}dt{color:var(--soft)}dd{margin:0 0 12px;overflow-wrap:anywhere}
`

const submitAtOnce = "document.addEventListener('DOMContentLoaded',function(){document.forms[0].submit()})"

function hash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

interface Options {
  /** Origins to which a form's answer may redirect: Chromium applies form-action to redirects too. */
  readonly formTargets?: readonly string[]
  readonly script?: string
  /** The name of the real provider for which this page stands. */
  readonly plays?: string | undefined
}

export function developmentPage(title: string, body: string, options: Options = {}): Page {
  const { formTargets = [], script, plays } = options
  const note = plays === undefined ? 'Development provider: for' : `This plays ${escapeHtml(plays)}: for`
  const scriptTag = script === undefined ? '' : `<script>${script}</script>`
  return {
    html: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
${scriptTag}
</head>
<body><main>
<div class="note" role="note">${note} trying things out, with sample users. Not for production.</div>
${body}
</main></body>
</html>`,
    csp: [
      "default-src 'none'",
      `style-src ${hash(style)}`,
      'img-src data:',
      ...(script === undefined ? [] : [`script-src ${hash(script)}`]),
      `form-action ${["'self'", ...formTargets].join(' ')}`,
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
  }
}

export interface LoginPageInput {
  /** Where the form posts to. */
  readonly action: string
  /** The application that the user signs in to. */
  readonly application: string
  readonly users: readonly DevelopmentUser[]
  /** login_hint: the sub or e-mail address of the user that the application expects. */
  readonly hint?: string | undefined
  readonly formTargets: readonly string[]
  readonly plays?: string | undefined
  /** Shown when the last attempt failed. */
  readonly message?: string
}

/** "Sign in as": one button for each sample user, and a way back. */
export function loginPage(input: LoginPageInput): Page {
  const hinted = (user: DevelopmentUser) => input.hint === user.sub || input.hint === user.email
  const users = [...input.users].sort((a, b) => Number(hinted(b)) - Number(hinted(a)))
  const rows = users.map((user) => userRow(user, input.action, hinted(user))).join('\n')
  const message = input.message === undefined ? '' : `<p class="alert" role="alert">${escapeHtml(input.message)}</p>`
  return developmentPage(
    input.plays === undefined ? 'Sign in' : `Sign in · ${input.plays}`,
    `<h1>Sign in${input.plays === undefined ? '' : ` with ${escapeHtml(input.plays)}`} as</h1>
<p>to continue to <strong>${escapeHtml(input.application)}</strong></p>
${message}<ul>
${rows}
</ul>
<form method="post" action="${escapeHtml(input.action)}"><button class="plain" name="cancel" value="1">Cancel</button></form>`,
    { formTargets: input.formTargets, plays: input.plays },
  )
}

function userRow(user: DevelopmentUser, action: string, hinted: boolean): string {
  const more = [user.email, ...user.groups].join(' · ')
  const password =
    user.password === undefined
      ? ''
      : `<input class="password" type="password" name="password" placeholder="Password" aria-label="Password of ${escapeHtml(user.name)}" required>`
  return `<li><form method="post" action="${escapeHtml(action)}">
<button class="user" name="sub" value="${escapeHtml(user.sub)}"${hinted ? ' data-hinted autofocus' : ''}>
<span class="face" aria-hidden="true">${escapeHtml(user.name.slice(0, 1))}</span>
<span><span class="who">${escapeHtml(user.name)}</span><span class="more">${escapeHtml(more)}</span></span>
</button>${password}
</form></li>`
}

export interface LogoutPageInput {
  /** oidc-provider's own form, which carries its anti-forgery token. */
  readonly form: string
  /** Submit without asking: only when the application named the very user who is signed in here. */
  readonly confirmed: boolean
  readonly formTargets: readonly string[]
}

export function logoutPage({ form, confirmed, formTargets }: LogoutPageInput): Page {
  const withAnswer = form.replace('</form>', '<input type="hidden" name="logout" value="yes"></form>')
  if (confirmed) {
    const body = `<h1>Signing out…</h1>${withAnswer}
<noscript><button class="main" form="op.logoutForm">Sign out</button></noscript>`
    return developmentPage('Signing out', body, { formTargets, script: submitAtOnce })
  }
  const body = `<h1>Sign out?</h1><p>An application asks to end your session at this provider.</p>${form}
<button class="main" form="op.logoutForm" name="logout" value="yes">Sign out</button>
<button class="plain" form="op.logoutForm">Stay signed in</button>`
  return developmentPage('Sign out', body, { formTargets })
}

export function signedOutPage(): Page {
  return developmentPage('Signed out', '<h1>Signed out</h1><p>You can close this page.</p>')
}

/** What went wrong, in oidc-provider's words: this is a tool for developers. */
export function errorPage(details: Record<string, unknown>): Page {
  const rows = Object.entries(details)
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(String(value))}</dd>`)
    .join('')
  return developmentPage(
    'Sign-in problem',
    `<h1>That did not work</h1><p>The request could not be answered.</p><dl>${rows}</dl>`,
  )
}
