/** The "before" page: signs in, shows who is there, calls the API. On its own it has its own attacker's view. */

import { createTable } from './attacker/report.js'
import { scan } from './attacker/scan.js'
import { authorization, claims, config, forget, keep, redeem, stored } from './oauth.js'
import { $, busy, initials, show } from './ui.js'

const parameters = new URLSearchParams(location.search)
const framed = parent !== window
document.documentElement.classList.toggle('framed', framed)

if (parameters.has('code')) await finishSignIn()
else if (parameters.has('sign-in')) await startSignIn()
else render()

async function startSignIn() {
  const { url, ...pending } = await authorization()
  sessionStorage.setItem('foyer.sign-in', JSON.stringify(pending))
  open(url, '_top')
}

async function finishSignIn() {
  if (framed) return // a sign-in that this page did not begin: the attacker's
  const { state, verifier } = JSON.parse(sessionStorage.getItem('foyer.sign-in') ?? '{}')
  sessionStorage.removeItem('foyer.sign-in')
  if (state !== undefined && state === parameters.get('state')) keep(await redeem(parameters.get('code'), verifier))
  location.replace(`${config.demo}/#attacker`)
}

function hello() {
  return fetch('/api/hello', { headers: { Authorization: `Bearer ${stored()?.access_token}` } })
}

async function showHello() {
  const response = await hello()
  $('#answer').textContent = response.ok
    ? `${response.status}, sent with the token from localStorage`
    : `${response.status}`
}

/** What an attacker reads in this page's source: how it calls, and how it signs in. */
const target = {
  endpoints: ['/', '/config.json', '/api/hello'],
  exercise: hello,
  silent: async () => {
    const { url, verifier } = await authorization({ prompt: 'none' })
    return { url, redeem: (address) => redeem(address.searchParams.get('code'), verifier) }
  },
}

function render() {
  const tokens = stored()
  show($('#in'), tokens !== null)
  show($('#out'), tokens === null)
  show($('#about'), !framed)
  show($('#attacker'), !framed)
  $('#back').href = config.demo
  $('#sign-in').onclick = startSignIn
  $('#sign-out').onclick = () => {
    forget()
    render()
  }
  $('#call').onclick = ({ target: button }) => busy(button, showHello)
  if (tokens) {
    const { name, email } = claims(tokens)
    $('#name').textContent = name
    $('#email').textContent = email
    $('#face').textContent = initials(name)
    $('#keys').textContent = Object.keys(tokens)
      .filter((key) => key.endsWith('token'))
      .join(', ')
  }
  if (framed) tell({ type: 'state', signedIn: tokens !== null })
  else {
    const table = createTable($('#attempts'), ['before'])
    $('#run').onclick = ({ target: button }) =>
      busy(button, () => scan(target, (result) => table.fill('before', result)))
  }
}

/** The demo page around this one asks for the script to be run, and gets its results: shortened, never a token. */
function tell(message) {
  parent.postMessage(message, config.demo)
}

addEventListener('message', async ({ origin, source, data }) => {
  if (origin !== config.demo || source !== parent || data.type !== 'scan') return
  await scan(target, (result) => tell({ type: 'result', result }))
  tell({ type: 'done' })
})
