/** The attacker's script, run in this page alone. */

import { call } from '/shared/api.js'
import { createTable } from '/shared/attacker/report.js'
import { scan } from '/shared/attacker/scan.js'
import { $, busy, show } from '/shared/ui.js'

/** What an attacker finds out by reading this page's source: its endpoints, and how it calls. */
const target = {
  endpoints: [
    '/auth/session',
    'POST /auth/session',
    '/auth/sessions',
    '/auth/login',
    '/auth/callback/aws',
    '/auth/attributes',
    '/auth/token',
    '/auth/credentials',
    '/auth/step-up',
    '/prod/tonight',
    '/prod/admin/takings',
    '/bucket/notes/foyer.txt',
    '/demo',
    '/.well-known/openid-configuration',
  ], // not POST /auth/logout, which gives nothing away but would end the show
  exercise: () => call('/prod/tonight'),
  silent: () => ({ url: '/auth/login?silent=1&return_to=/' }),
}

export function startSearch() {
  const table = createTable($('#attempts'), ['coatcheck'])
  $('#run').onclick = ({ target: button }) =>
    busy(button, async () => {
      table.reset()
      $('#run-state').textContent = 'Searching…'
      const results = []
      await scan(target, (result) => {
        results.push(result)
        table.fill('coatcheck', result)
      })
      const found = new Set(results.flatMap(({ findings }) => findings).map(({ value }) => value)).size
      const [number, text] = $('#verdict').children
      number.textContent = found === 0 ? '0 tokens, 0 keys' : `${found} found`
      text.textContent = found === 0 ? 'Nothing to carry off: all of it is at Coatcheck.' : 'They work from anywhere.'
      show($('#verdict'))
      $('#run-state').textContent = `Done. ${results.length} attempts.`
    })
}
