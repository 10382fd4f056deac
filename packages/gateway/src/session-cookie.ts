import type { Config } from './config/schema.ts'
import { loginCookiePrefix, loginLifetime } from './oidc/pending-login.ts'
import { AMBIGUOUS, cookieNames, expireCookie, type HostCookieName, readCookie, setCookie } from './protocol/cookies.ts'

/** The gateway's own cookies: one for the session, and a short-lived one for each sign-in on its way. */
export interface GatewayCookies {
  readSession(header: string | undefined): string | undefined | typeof AMBIGUOUS
  /** The Set-Cookie value. No Max-Age: the cookie goes with the browser session, and the server keeps the time. */
  session(value: string): string
  endSession(): string
  readLogin(header: string | undefined, id: string): string | undefined
  login(id: string, value: string): string
  endLogin(id: string): string
  /** Names of the login cookies that the browser holds, oldest first. */
  logins(header: string | undefined): HostCookieName[]
  expire(name: HostCookieName): string
}

export function createGatewayCookies(session: Config['session']): GatewayCookies {
  const name = session.cookie
  const sameSite = session.sameSite === 'lax' ? 'Lax' : 'Strict'
  const loginName = (id: string): HostCookieName => `${loginCookiePrefix}${id}`
  return {
    readSession: (header) => readCookie(header, name),
    session: (value) => setCookie({ name, value, sameSite }),
    endSession: () => expireCookie(name, sameSite),
    readLogin(header, id) {
      const value = readCookie(header, loginName(id))
      return value === AMBIGUOUS ? undefined : value
    },
    // Lax: the callback comes from another site, where Strict would hide the cookie.
    login: (id, value) => setCookie({ name: loginName(id), value, sameSite: 'Lax', maxAge: loginLifetime / 1000 }),
    endLogin: (id) => expireCookie(loginName(id), 'Lax'),
    logins: (header) => cookieNames(header, loginCookiePrefix).sort() as HostCookieName[],
    expire: (cookie) => expireCookie(cookie, 'Lax'),
  }
}
