/** The person's own sessions, each of which can be ended from here. */

import { endSession, listSessions, signOut } from './session.js'
import { $, ago, busy, el } from './ui.js'

/** @returns the current one */
export async function showSessions() {
  const sessions = await listSessions()
  const byAge = sessions.toSorted((a, b) => b.current - a.current || b.lastSeenAt.localeCompare(a.lastSeenAt))
  $('#session-list').replaceChildren(...byAge.map(item))
  return sessions.find(({ current }) => current)
}

function item({ id, current, createdAt, lastSeenAt, device, address, place }) {
  const end = async () => {
    if (current) return signOut()
    await endSession(id)
    await showSessions()
  }
  return el(
    'li',
    {},
    el('span', {}, el('b', {}, device), current && el('em', {}, 'this one')),
    el(
      'span.aside',
      {},
      `${place ? `${place} · ` : ''}${address} · signed in ${ago(createdAt)}, seen ${ago(lastSeenAt)}`,
    ),
    el('button.quiet', { type: 'button', onclick: ({ target }) => busy(target, end) }, current ? 'Sign out' : 'End'),
  )
}
