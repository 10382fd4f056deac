/**
 * What a script would do that got into the page: by a poisoned npm package, a tag manager, a browser extension
 * or cross-site scripting. The same file runs in both pages of the demo; only `target` differs.
 */

import { everyEndpoint, listenIn, silentSignIn } from './network.js'
import { cachesAndWorkers, cookies, indexedDatabases, webStorage } from './storage.js'
import { findTokens, shorten } from './tokens.js'
import { documentAndAddresses, windowProperties } from './window.js'

/**
 * What an attacker learns from a page's source: its endpoints, how to make it call its API, how it signs in.
 * @typedef {{ endpoints: string[], exercise: () => Promise<unknown>, silent: () => Parameters<typeof silentSignIn>[0] }} Target
 */

export const attempts = [
  { id: 'localStorage', title: 'Dump localStorage', look: () => webStorage(localStorage), unit: 'entry' },
  { id: 'sessionStorage', title: 'Dump sessionStorage', look: () => webStorage(sessionStorage), unit: 'entry' },
  { id: 'indexedDB', title: 'Dump IndexedDB', look: indexedDatabases, unit: 'record' },
  { id: 'cookie', title: 'Read document.cookie', look: cookies, unit: 'cookie' },
  { id: 'window', title: 'Search every property of window', look: windowProperties, unit: 'property' },
  { id: 'document', title: 'Search the document and its addresses', look: documentAndAddresses, unit: 'place' },
  { id: 'caches', title: 'Open Cache Storage, service workers', look: cachesAndWorkers, unit: 'entry' },
  { id: 'listen', title: 'Listen in on the page’s own API call', look: (t) => listenIn(t.exercise), unit: 'message' },
  {
    id: 'endpoints',
    title: 'Ask every endpoint for a token',
    look: (t) => everyEndpoint(t.endpoints),
    unit: 'request',
  },
  {
    id: 'silent',
    title: 'Start a silent sign-in of its own',
    look: async (t) => silentSignIn(await t.silent()),
    unit: 'answer',
  },
]
const plurals = { entry: 'entries', property: 'properties' }

/**
 * Runs all attempts, one after the other. Values leave this function only in shortened form.
 * @param {Target} target
 * @param {(result: { id: string, looked: string, places: string[], findings: { kind: string, where: string, value: string }[] }) => void} report
 */
export async function scan(target, report) {
  for (const { id, look, unit } of attempts) {
    const places = await tried(look, target)
    const findings = places.flatMap(({ where, text }) =>
      findTokens(text).map(({ kind, value }) => ({ kind, where, value: shorten(value) })),
    )
    const looked = `${places.length} ${places.length === 1 ? unit : (plurals[unit] ?? `${unit}s`)}`
    report({ id, looked, places: places.map(({ where }) => where), findings })
  }
}

/** A browser that refuses (storage blocked by settings) stops one attempt, not the others. */
async function tried(look, target) {
  try {
    return await look(target)
  } catch (error) {
    return [{ where: `refused: ${error.message}`, text: '' }]
  }
}
