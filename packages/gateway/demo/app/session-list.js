/** The person's own sessions, each of which can be ended from here; the current one names the claim ticket. */

import { endSession, listSessions, signOut } from './session.js'
import { $, ago, busy, el } from './ui.js'

export async function showSessions() {
  const sessions = await listSessions()
  const byAge = sessions.toSorted((a, b) => b.current - a.current || b.lastSeenAt.localeCompare(a.lastSeenAt))
  $('#session-list').replaceChildren(...byAge.map(item))
  const current = sessions.find((session) => session.current)
  if (current) $('[data-ticket]').textContent = ticketOf(current)
}

/** Four characters to recognise it by. */
function ticketOf({ id }) {
  return id
    .replace(/[^a-z0-9]/gi, '')
    .slice(0, 4)
    .toUpperCase()
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
