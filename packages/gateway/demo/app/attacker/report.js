/** Shows what the attempts brought in. */

import { el } from '../ui.js'
import { attempts } from './scan.js'

/** One row for each attempt, one column for each page. */
export function createTable(body, columns = ['before', 'coatcheck']) {
  const labels = { before: 'Before', coatcheck: 'With Coatcheck' }

  function reset() {
    const rows = attempts.map(({ id, title }) => {
      const cells = columns.map((column) => {
        const td = el('td', { className: column })
        td.dataset.label = labels[column]
        td.dataset.attempt = id
        td.append(el('span.pending', {}, '–'))
        return td
      })
      return el('tr', {}, el('th', { scope: 'row' }, title), ...cells)
    })
    body.replaceChildren(...rows)
  }

  function fill(column, { id, looked, places, findings }) {
    const td = body.querySelector(`td.${column}[data-attempt="${id}"]`)
    td.dataset.result = findings.length > 0 ? 'found' : 'nothing'
    td.replaceChildren(findings.length > 0 ? found(findings) : el('b.nothing', {}, 'Nothing'), lookedAt(looked, places))
  }

  reset()
  return { reset, fill }
}

/**
 * Counts each token once, however often it was found. No results at all: the page never answered, most likely because
 * its port shows a certificate that was not accepted yet.
 */
export function verdict(side, results) {
  const count = new Set(results.flatMap(({ findings }) => findings).map(({ value }) => value)).size
  const [kind, headline, text] =
    results.length === 0
      ? [
          'unknown',
          'No answer',
          'Open this address in a tab of its own, accept its certificate if asked, and run again.',
        ]
      : count > 0
        ? [
            'found',
            `${count} ${count === 1 ? 'token' : 'tokens'}`,
            'They work from the attacker’s own machine, also when this tab is closed.',
          ]
        : ['nothing', '0 tokens', 'Nothing to carry off: no token is in this browser.']
  side.dataset.verdict = kind
  const [number, explanation] = side.querySelectorAll('.verdict > *')
  number.textContent = headline
  explanation.textContent = text
}

function found(findings) {
  const shown = findings
    .slice(0, 4)
    .map(({ kind, where, value }, i, all) =>
      el(
        'li',
        {},
        where !== all[i - 1]?.where && el('span.aside', {}, where),
        el('b', {}, kind[0].toUpperCase() + kind.slice(1)),
        ' ',
        el('code', {}, value),
      ),
    )
  const more = findings.length - shown.length
  return el('ul.findings', {}, ...shown, more > 0 && el('li.aside', {}, `and ${more} more`))
}

function lookedAt(looked, places) {
  if (places.length === 0) return el('span.aside', {}, `${looked}`)
  const list = places.slice(0, 80).map((place) => el('li', {}, place))
  if (places.length > list.length) list.push(el('li', {}, '…'))
  return el('details', {}, el('summary', {}, looked), el('ol', {}, ...list))
}
