/** Foyer through Amazon Cognito: the welcome for a stranger, the desk for someone who is signed in. */

import { call } from '/shared/api.js'
import { extendSession, readSession, signIn, signOut } from '/shared/session.js'
import { showSessions } from '/shared/session-list.js'
import { showTimes } from '/shared/times.js'
import { $, busy, el, initials, show } from '/shared/ui.js'
import { startAccount } from './account.js'
import { startCalls } from './aws-calls.js'
import { startSearch } from './search.js'
import { showTrace } from './trace.js'

if (location.search) history.replaceState(null, '', location.pathname + location.hash)

const session = await readSession().catch((error) => say(error.message))

for (const button of document.querySelectorAll('[data-sign-in]')) {
  button.onclick = () => signIn('/', button.dataset.signIn || undefined)
}
addEventListener('signed-out', ({ detail }) => {
  say(
    detail?.title ?? 'The session ended.',
    el('button.quiet', { type: 'button', onclick: () => signIn() }, 'Sign in again'),
  )
})

if (session) await openDesk(session)
else await openWelcome()
document.documentElement.dataset.ready = session ? 'desk' : 'welcome'

async function openWelcome() {
  const { body } = await call('/demo')
  const people = (body?.people ?? []).map(({ name, roles, with: where }) =>
    el(
      'li',
      {},
      el('span.face', { ariaHidden: 'true' }, initials(name)),
      el('span', {}, el('b', {}, name), ` ${where}: ${roles.join(', ')}`),
    ),
  )
  $('#users').replaceChildren(...people)
  show($('#welcome'))
}

async function openDesk({ user, roles, ...times }) {
  const name = user.name ?? user.username ?? user.sub
  $('#by').textContent = user.identityProvider ? `with ${user.identityProvider}` : 'at the user pool'
  $('#name').textContent = name
  $('#email').textContent = user.email ?? user.username
  $('[data-initials]').textContent = initials(name)
  $('#roles').replaceChildren(...roles.map((role) => el('li', {}, role)))
  for (const part of ['#desk', '#nav', '#account']) show($(part))

  const trace = showTrace({ user, roles })
  const refresh = showTimes(times, readSession)
  $('#extend').onclick = ({ target }) => busy(target, async () => refresh(await extendSession()))
  $('#sign-out').onclick = ({ target }) => busy(target, signOut)
  startCalls({ onRole: trace.showRole, afterCall: () => readSession().then(refresh) })
  startAccount(user, times)
  startSearch()
  await showSessions()
  document.getElementById(location.hash.slice(1))?.scrollIntoView()
}

function say(text, ...more) {
  $('#notice').replaceChildren(text, ' ', ...more)
  show($('#notice'))
}
