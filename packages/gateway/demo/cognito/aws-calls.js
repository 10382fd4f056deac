/** The cards of "Call AWS". */

import { call } from '/shared/api.js'
import { refusal } from '/shared/calls.js'
import { busy, el, facts } from '/shared/ui.js'

/** @param {{ onRole: (arn: string) => void, afterCall: () => void }} told `afterCall`: a call may have extended the session */
export function startCalls({ onRole, afterCall }) {
  for (const card of document.querySelectorAll('[data-call]')) {
    const [button, answer] = [card.querySelector('button'), card.querySelector('.answer')]
    const { call: path, method, text } = card.dataset
    button.onclick = () =>
      busy(button, async () => {
        const { ok, status, body } = await call(path, { method, text })
        answer.replaceChildren(ok ? describe(status, body) : refused(status, body))
        if (ok) onRole(body.caller.roleArn)
        afterCall()
      })
  }
}

function describe(status, { caller, signature, says, stored, bytes }) {
  const { algorithm, signedHeaders, sessionToken, cookies } = signature
  return el(
    'div',
    {},
    el('p.status.good', {}, `${status} · ${says ?? `Stored ${stored}, ${bytes} bytes`}`),
    facts([
      ['Role seen', caller.roleArn],
      ['Identity', caller.identityId],
      ['Signed', `${algorithm}: ${signedHeaders.join(', ')}`],
      ['Session token', `${sessionToken.length} characters, SHA-256 ${sessionToken.fingerprint}…`],
      ['Cookies', cookies],
    ]),
    el('p.aside', {}, 'AWS got the signature and the token. This page did not.'),
  )
}

/** By whom: problems of the gateway have a code. */
function refused(status, body) {
  const shown = refusal(status, body)
  const who = body?.code
    ? 'Coatcheck refused it: AWS was not asked.'
    : 'IAM refused it: the policy of your role does not allow it.'
  if (status === 403) shown.append(el('p.aside', {}, who))
  return shown
}
