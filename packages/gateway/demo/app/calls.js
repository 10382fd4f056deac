/** The cards of "Ask the API". */

import { call, events } from './api.js'
import { busy, el, facts } from './ui.js'

/** @param {() => void} afterCall the session may have been extended by a call */
export function startCalls(afterCall) {
  for (const card of document.querySelectorAll('[data-call]')) {
    const [button, answer] = [card.querySelector('button'), card.querySelector('.answer')]
    button.onclick = () =>
      busy(button, async () => {
        answer.replaceChildren(describe(await call(card.dataset.call)))
        afterCall()
      })
  }
  for (const card of document.querySelectorAll('[data-stream]')) startStream(card)
}

/** Any answer of the sample API, made presentable. */
export function describe({ ok, status, body }) {
  if (!ok) return refusal(status, body)
  if (body?.performances) return report(body)
  const { greeting, caller, authorization } = body
  return el(
    'div',
    {},
    el('p.status.good', {}, `${status} · ${greeting}`),
    facts([
      ['Caller', caller.user ?? 'nobody'],
      ['Roles', caller.roles.join(', ') || 'none'],
      ['Credential', authorization ? `${authorization.scheme} token, ${authorization.length} characters` : 'none'],
      ['Fingerprint', authorization ? `SHA-256 ${authorization.fingerprint}…` : '—'],
    ]),
    el('p.aside', {}, 'The API received the token. This page did not.'),
  )
}

/** A problem (RFC 9457), or an API's own error. */
export function refusal(status, body) {
  const title = { 401: 'Sign-in required', 403: 'Not for you, and that is correct' }[status] ?? body?.title ?? 'Refused'
  const code = body?.code ? el('code', {}, body.code) : undefined
  return el(
    'div',
    {},
    el('p.status.warn', {}, status ? `${status} · ${title}` : title),
    el('p.aside', {}, code, code && ' ', body?.hint ?? body?.detail ?? body?.message ?? ''),
  )
}

function report({ performances, takings }) {
  const rows = performances.map(({ title, sold, seats }) =>
    el('tr', {}, el('th', { scope: 'row' }, title), el('td', {}, `${sold} / ${seats}`)),
  )
  return el(
    'div',
    {},
    el('p.status.good', {}, `200 · Takings ${takings}`),
    el('table.report', {}, el('tbody', {}, ...rows)),
  )
}

function startStream(card) {
  const [button, answer] = [card.querySelector('button'), card.querySelector('.answer')]
  let running
  button.onclick = async () => {
    if (running) return running.abort()
    running = new AbortController()
    button.textContent = 'Stop'
    answer.replaceChildren()
    try {
      for await (const { time, text } of events(card.dataset.stream, running.signal)) {
        answer.prepend(el('p.event', {}, el('time', {}, time), text))
        while (answer.children.length > 4) answer.lastChild.remove()
      }
    } catch (error) {
      if (error.name !== 'AbortError') answer.replaceChildren(el('p.status.warn', {}, error.message))
    }
    running = undefined
    button.textContent = 'Watch'
  }
}
