import type { Respond } from '../decision.ts'
import { escapeHtml, page } from './page.ts'

/**
 * The prototype's own `submit`: a field of that name would stand before the form's (DOM clobbering). It runs while the
 * page loads, so that the page stays out of the history.
 */
export const REPOST_SCRIPT = 'HTMLFormElement.prototype.submit.call(document.forms[0])'

/** base64(SHA-256(REPOST_SCRIPT)); a test computes it anew. */
export const REPOST_SCRIPT_HASH = 'ox4bri+xTrW3kuLTyRoak73QX8KZGuyP3JlQYusbSlA='

/**
 * A page that posts these fields to `action`, a path of this origin, by itself at once; by its button where scripts don't
 * run. Only its own script may run, so that no field can bring another.
 * There is no `form-action`: browsers apply it to the redirects after the post too, and a sign-in may well lead on to a
 * page that leads elsewhere (a step-up at the provider). The one form on the page is ours.
 */
export function repostPage(action: string, fields: Iterable<readonly [name: string, value: string]>): Respond {
  const inputs = [...fields].map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">\n`,
  )
  return page(200, [], {
    title: 'One moment',
    refresh: undefined,
    policy: `script-src 'sha256-${REPOST_SCRIPT_HASH}'`,
    body: `<main class="brief">
<div class="text">
<h1>One moment…</h1>
<form method="post" action="${escapeHtml(action)}">
${inputs.join('')}<p>If nothing happens, press the button.</p>
<button class="button">Continue</button>
</form>
</div>
</main>
<script>${REPOST_SCRIPT}</script>`,
  })
}
