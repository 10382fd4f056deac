/** The section "The attacker's view": runs the script in this page and in the framed "before" page, and compares. */

import { call } from '../api.js'
import { describe } from '../calls.js'
import { $, busy, el, show } from '../ui.js'
import { createTable, verdict } from './report.js'
import { scan } from './scan.js'

/** What an attacker finds out by reading this page's source: its endpoints, and how it calls. */
const target = {
  endpoints: [
    '/auth/session',
    'POST /auth/session',
    '/auth/sessions',
    '/auth/login',
    '/auth/callback/demo',
    'POST /auth/callback/demo',
    '/auth/token',
    '/auth/userinfo',
    '/auth/refresh',
    '/auth/step-up',
    '/auth/forward',
    '/auth/jwks.json',
    '/auth/../auth/session',
    '/api/hello',
    '/api/admin/report',
    '/api/demo',
    '/api/..%2fauth/session',
    '/.well-known/openid-configuration',
  ], // not POST /auth/logout, which gives nothing away but would end the show
  exercise: () => call('/api/hello'),
  silent: () => ({ url: '/auth/login?silent=1&return_to=/' }),
}

/** @param {{ before: string }} demo the origin of the "before" page */
export function startPanel({ before }) {
  const table = createTable($('#attempts'))
  const frame = $('#before-frame')
  const neighbour = connect(frame, before)
  $('#before-address').textContent = before
  $('#own-address').textContent = location.origin
  $('#before-sign-in a').href = `${before}/?sign-in`
  frame.src = `${before}/?framed`

  const run = () =>
    busy($('#run'), async () => {
      table.reset()
      $('#run-state').textContent = 'Running…'
      const [ours, theirs] = await Promise.all([
        collect((report) => scan(target, report), 'coatcheck'),
        collect((report) => neighbour.scan(report), 'before'),
      ])
      verdict($('#side-coatcheck'), ours)
      verdict($('#side-before'), theirs)
      $('#run-state').textContent = `Done. ${ours.length + theirs.length} attempts.`
    })

  async function collect(scanner, column) {
    const results = []
    await scanner((result) => {
      results.push(result)
      table.fill(column, result)
    })
    return results
  }

  $('#run').onclick = run
  $('#hijack').onclick = ({ target: button }) => busy(button, hijack)
  neighbour.onState = ({ signedIn }) => {
    show($('#before-sign-in'), !signedIn)
    if (signedIn && location.hash === '#attacker') run()
    history.replaceState(null, '', location.pathname)
  }
}

/** No token needed: the browser adds the cookie to whatever the page asks for. */
async function hijack() {
  const answer = await call('/api/hello')
  const verdict = answer.ok
    ? 'It worked: the script asked, the browser added the cookie, the API answered. The answer is all it got.'
    : 'The session is over, and with it what the script can do.'
  $('#hijack-answer').replaceChildren(el('p.status.warn', {}, verdict), describe(answer))
}

/** Talks with the framed page. Only that frame at only that origin is listened to, and only results come, no tokens. */
function connect(frame, origin) {
  const link = { onState: () => {}, scan }
  let report = () => {}
  let done = () => {}
  addEventListener('message', ({ origin: from, source, data }) => {
    if (from !== origin || source !== frame.contentWindow) return
    if (data.type === 'state') link.onState(data)
    if (data.type === 'result') report(data.result)
    if (data.type === 'done') done()
  })

  function scan(onResult) {
    report = onResult
    frame.contentWindow.postMessage({ type: 'scan' }, origin)
    return new Promise((resolve) => {
      done = resolve
      setTimeout(resolve, 15_000) // the frame may be blocked, by a certificate not yet accepted for its port
    })
  }
  return link
}
