import type { Respond } from '../decision.ts'
import { escapeHtml, page } from './page.ts'

/**
 * Asks for an e-mail address, by whose domain the sign-in goes on. The form goes to `action`, a path of this origin, with
 * `fields` and the address as `login_hint`. No script, and nothing of what was typed comes back.
 * There is no `form-action`: browsers apply it to the redirects after the form too, and those lead to the provider and on.
 * The one form on the page is ours.
 */
export function realmPage(
  action: string,
  fields: Iterable<readonly [name: string, value: string]>,
  { again }: { readonly again: boolean },
): Respond {
  const hidden = [...fields].map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">\n`,
  )
  const wrong = again
    ? '<p id="wrong" role="alert">This is no e-mail address. Write it like ada@example.com.</p>\n'
    : ''
  const described = again ? ' aria-invalid="true" aria-describedby="wrong"' : ''
  return page(again ? 400 : 200, [], {
    title: 'Sign in',
    refresh: undefined,
    policy: "script-src 'none'",
    body: `<main>
<div class="text">
<h1>Sign in</h1>
<form method="get" action="${escapeHtml(action)}">
${hidden.join('')}${wrong}<p><label for="address">Your e-mail address at work</label>
<input class="field" id="address" name="login_hint" type="email" autocomplete="username" maxlength="320" required autofocus${described}></p>
<button class="button">Continue</button>
</form>
</div>
</main>`,
  })
}
