/** Foyer: shows the welcome to a stranger and the desk to someone who is signed in. */

import { call } from './api.js'
import { startPanel } from './attacker/panel.js'
import { startCalls } from './calls.js'
import { extendSession, readSession, signIn, signOut } from './session.js'
import { showSessions } from './session-list.js'
import { showTimes } from './times.js'
import { $, busy, el, initials, show } from './ui.js'

if (location.search) history.replaceState(null, '', location.pathname + location.hash) // the provider's ?state= after sign-out

const session = await readSession().catch((error) => say(error.message))
const { body: demo } = await call('/api/demo')

$('#sign-in').onclick = () => signIn()
addEventListener('signed-out', ({ detail }) => {
  say(
    detail?.title ?? 'The session ended.',
    el('button.quiet', { type: 'button', onclick: () => signIn() }, 'Sign in again'),
  )
})

if (session) await openDesk(session)
else openWelcome()
document.documentElement.dataset.ready = session ? 'desk' : 'welcome'

function openWelcome() {
  const people = (demo?.users ?? []).map(({ name, roles }) =>
    el(
      'li',
      {},
      el('span.face', { ariaHidden: 'true' }, initials(name)),
      el('span', {}, el('b', {}, name), ` ${roles.join(', ')}`),
    ),
  )
  $('#users').replaceChildren(...people)
  show($('#welcome'))
}

async function openDesk({ user, roles, ...times }) {
  const name = user.name ?? user.sub
  $('#name').textContent = name
  $('#email').textContent = user.email ?? user.sub
  $('[data-initials]').textContent = initials(name)
  $('#roles').replaceChildren(...roles.map((role) => el('li', {}, role)))
  for (const part of ['#desk', '#nav', '#account']) show($(part))

  const refresh = showTimes(times, readSession)
  $('#extend').onclick = ({ target }) => busy(target, async () => refresh(await extendSession()))
  $('#sign-out').onclick = ({ target }) => busy(target, signOut)
  startCalls(() => readSession().then(refresh))
  await showSessions()
  if (demo?.before) startPanel(demo)
  document.getElementById(location.hash.slice(1))?.scrollIntoView()
}

function say(text, ...more) {
  $('#notice').replaceChildren(text, ' ', ...more)
  show($('#notice'))
}
