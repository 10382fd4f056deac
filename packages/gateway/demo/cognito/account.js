/** The person's own account at the user pool. What it refuses for want of a recent sign-in leads to a step-up. */

import { call } from '/shared/api.js'
import { refusal } from '/shared/calls.js'
import { $, ago, busy, el, facts, show } from '/shared/ui.js'

const backHere = encodeURIComponent('/#own')

export function startAccount(user, { authTime }) {
  const federated = user.identityProvider
  $('#auth-time').replaceChildren(el('p.aside', {}, `You signed in ${ago(authTime)}.`))
  $('#step-up').onclick = () => location.assign(`/auth/step-up?return_to=${backHere}&max_age=300`)
  $('#read-attributes').onclick = ({ target }) => busy(target, readAttributes)
  onSubmit('#nickname', saveNickname)
  $('#password-whose').textContent = federated
    ? `Yours is kept by ${federated}: the pool has none, and Coatcheck refuses to ask it.`
    : 'Yours is the user pool’s. It goes there and nowhere else.'
  show($('#password'), !federated)
  $('#password').elements.username.value = user.username
  onSubmit('#password', changePassword)
}

async function readAttributes() {
  const { ok, status, body } = await call('/auth/attributes')
  if (!ok) return refuse('#attributes-answer', status, body)
  const rows = Object.entries(body.attributes).filter(([name]) => name !== 'identities')
  $('#attributes-answer').replaceChildren(facts(rows))
  $('#nickname').elements.nickname.value = body.attributes.nickname ?? ''
  show($('#nickname'))
}

async function saveNickname({ nickname }) {
  const { ok, status, body } = await call('/auth/attributes', { method: 'PATCH', json: { nickname: nickname.value } })
  if (!ok) return refuse('#attributes-answer', status, body)
  await readAttributes()
  $('#attributes-answer').prepend(el('p.status.good', {}, '204 · Saved'))
}

async function changePassword({ currentPassword, newPassword }) {
  const json = { currentPassword: currentPassword.value, newPassword: newPassword.value }
  const { ok, status, body } = await call('/auth/password', { method: 'POST', json })
  if (!ok) return refuse('#password-answer', status, body)
  $('#password').reset()
  $('#password-answer').replaceChildren(el('p.status.good', {}, '204 · Changed. It counts from the next sign-in.'))
}

function onSubmit(form, work) {
  $(form).onsubmit = (event) => {
    event.preventDefault()
    return busy($('button', $(form)), () => work($(form).elements))
  }
}

function refuse(place, status, body) {
  if (body?.code !== 'step_up_required') {
    $(place).replaceChildren(body?.reason ? rejected(status, body) : refusal(status, body))
    return
  }
  $(place).replaceChildren(
    el('p.status.warn', {}, `${status} · Sign in again first`),
    el('p.aside', {}, el('code', {}, body.code), ' The last sign-in is more than five minutes ago.'),
    el('button.quiet', { type: 'button', onclick: () => $('#step-up').click() }, 'Sign in again'),
  )
}

/** The pool says what is wrong with the words of the user. */
function rejected(status, { code, reason }) {
  return el(
    'div',
    {},
    el('p.status.warn', {}, `${status} · The user pool refused`),
    el('p.aside', {}, el('code', {}, code), ` ${reason}`),
  )
}
