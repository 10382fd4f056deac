import { createHash, randomBytes } from 'node:crypto'
import { Browser } from '../../src/browser.ts'
import type { FakeClock } from '../../src/clock.ts'
import type { CognitoParts } from '../../src/cognito.ts'
import { type PoolSignIn, passPool } from '../../src/cognito-login.ts'
import type { Page } from '../../src/page.ts'

export const appOrigin = 'http://127.0.0.1:9'
export const callback = `${appOrigin}/auth/callback/aws`

interface Attempt {
  readonly parameters?: Record<string, string | undefined>
  readonly browser?: Browser
}

/** A minimal application in front of the pool, which keeps to what Cognito documents. */
export function poolApp({ settings, clientSecret }: CognitoParts, clock: FakeClock) {
  const verifier = randomBytes(32).toString('base64url')
  const basic = `Basic ${Buffer.from(`${settings.clientId}:${clientSecret}`).toString('base64')}`

  function authorizeUrl(parameters: Record<string, string | undefined> = {}): string {
    const url = new URL(`${settings.domain}/oauth2/authorize`)
    const all = {
      response_type: 'code',
      client_id: settings.clientId,
      redirect_uri: callback,
      scope: 'openid profile email aws.cognito.signin.user.admin',
      state: 'opaque-state',
      nonce: 'nonce-of-the-app',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...parameters,
    }
    for (const [name, value] of Object.entries(all)) if (value !== undefined) url.searchParams.set(name, value)
    return url.href
  }

  const stopBefore = (url: URL) => url.origin === appOrigin
  const newBrowser = () => new Browser({ base: appOrigin, now: clock.now })

  async function start({ parameters = {}, browser = newBrowser() }: Attempt = {}): Promise<Page> {
    return browser.visit(authorizeUrl(parameters), { stopBefore })
  }

  /** To the callback: its parameters. */
  async function callbackFor(user: PoolSignIn, { parameters = {}, browser = newBrowser() }: Attempt = {}) {
    const named = user.password === undefined ? { identity_provider: 'Okta', ...parameters } : parameters
    const page = await start({ parameters: named, browser })
    const last = page.location?.startsWith(callback) ? page : await passPool(browser, page, { ...user, stopBefore })
    if (!last.location?.startsWith(callback)) throw new Error(`No callback, but ${last.status}: ${last.text}`)
    return new URL(last.location).searchParams
  }

  async function tokenRequest(
    form: Record<string, string>,
    headers: Record<string, string> = { authorization: basic },
  ) {
    const response = await fetch(`${settings.domain}/oauth2/token`, {
      method: 'POST',
      headers,
      body: new URLSearchParams(form),
    })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }

  const redeem = (code: string | null, over: Record<string, string> = {}) =>
    tokenRequest({
      grant_type: 'authorization_code',
      code: code ?? '',
      redirect_uri: callback,
      code_verifier: verifier,
      ...over,
    })

  async function signIn(user: PoolSignIn, attempt: Attempt = {}) {
    const { body } = await redeem((await callbackFor(user, attempt)).get('code'))
    const { access_token = '', id_token = '', refresh_token = '' } = body
    return { accessToken: access_token, idToken: id_token, refreshToken: refresh_token }
  }

  const refresh = (token: string) => tokenRequest({ grant_type: 'refresh_token', refresh_token: token })
  const form = (path: string, fields: Record<string, string>) =>
    fetch(`${settings.domain}${path}`, {
      method: 'POST',
      headers: { authorization: basic },
      body: new URLSearchParams(fields),
    })

  return { authorizeUrl, start, callbackFor, tokenRequest, redeem, signIn, refresh, form, newBrowser, stopBefore }
}
