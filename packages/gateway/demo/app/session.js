/** Who is signed in, and how to change that: all that a single-page app needs to know of Coatcheck. */

import { call } from './api.js'

/** @returns the session, or undefined while nobody is signed in. Asking does not extend it. */
export async function readSession() {
  const { ok, status, body } = await call('/auth/session?passive=1')
  if (!ok) throw new Error(body?.hint ?? `The session could not be read (${status}).`)
  return body.authenticated ? body : undefined
}

/** Says that the person is still here: starts the idle time anew. */
export async function extendSession() {
  const { ok, body } = await call('/auth/session', { method: 'POST' })
  return ok && body.authenticated ? body : undefined
}

/**
 * Sign-in is a navigation of the whole window, never a fetch.
 * @param {string} [idp] the identity provider behind the provider, where there are several
 */
export function signIn(returnTo = '/', idp) {
  const at = idp === undefined ? '' : `&idp=${encodeURIComponent(idp)}`
  location.assign(`/auth/login?return_to=${encodeURIComponent(returnTo)}${at}`)
}

/** Ends the session here, then lets the window visit the provider, which ends its own. */
export async function signOut() {
  const { body } = await call('/auth/logout', { method: 'POST' })
  location.assign(body?.redirectTo ?? '/')
}

export async function listSessions() {
  const { ok, body } = await call('/auth/sessions')
  return ok ? body.sessions : []
}

export function endSession(id) {
  return call(`/auth/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' })
}
