/**
 * Authorization Code with PKCE in the browser, tokens in localStorage: how many single-page apps do it, and what
 * Coatcheck replaces. It follows the specification; the trouble is where the tokens end up.
 */

const KEY = 'foyer.tokens'
const SCOPE = 'openid profile email offline_access'

export const config = await (await fetch('/config.json')).json()
const metadata = await (await fetch(`${config.issuer}/.well-known/openid-configuration`)).json()

export const stored = () => JSON.parse(localStorage.getItem(KEY) ?? 'null')
export const forget = () => localStorage.removeItem(KEY)

export function keep(tokens) {
  localStorage.setItem(KEY, JSON.stringify(tokens))
}

/** The claims of an ID token that came straight from the provider. */
export function claims({ id_token }) {
  const payload = id_token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0))))
}

/** @returns the address to send the window to, and what must be remembered until it comes back */
export async function authorization(extra = {}) {
  const [state, verifier] = [random(), random()]
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
  const url = new URL(metadata.authorization_endpoint)
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: config.clientId,
    redirect_uri: config.redirectUri,
    scope: SCOPE,
    state,
    code_challenge: base64url(new Uint8Array(hash)),
    code_challenge_method: 'S256',
    ...extra,
  })
  return { url: url.href, state, verifier }
}

export async function redeem(code, verifier) {
  const response = await fetch(metadata.token_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      client_id: config.clientId,
      redirect_uri: config.redirectUri,
    }),
  })
  if (!response.ok) throw new Error(`The token endpoint answered ${response.status}.`)
  return response.json()
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)))
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
