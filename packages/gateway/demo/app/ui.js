/** Small helpers around the DOM. Text is always set as text: nothing here parses HTML. */

export const $ = (selector, from = document) => from.querySelector(selector)

/**
 * @param {string} tag `p`, or with a class `p.aside`
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string | undefined | false)} children
 */
export function el(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split('.')
  const element = Object.assign(document.createElement(name), properties)
  if (classes.length > 0) element.className = classes.join(' ')
  element.append(...children.filter(Boolean))
  return element
}

export function show(element, visible = true) {
  element.hidden = !visible
}

export function initials(name) {
  const words = name.split(/\s+/).filter(Boolean)
  return [words[0], words.at(-1)]
    .slice(0, Math.min(words.length, 2))
    .map((word) => word[0].toUpperCase())
    .join('')
}

/** `29:41`, or `11 h 59 min` from an hour on. */
export function timeLeft(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes}:${String(seconds % 60).padStart(2, '0')}`
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

export function ago(time) {
  const minutes = Math.round((Date.parse(time) - Date.now()) / 60_000)
  if (minutes > -1) return 'just now'
  if (minutes > -60) return relative.format(minutes, 'minute')
  return minutes > -1440
    ? relative.format(Math.round(minutes / 60), 'hour')
    : relative.format(Math.round(minutes / 1440), 'day')
}

/** A list of names and values. */
export function facts(rows) {
  return el('dl.facts', {}, ...rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))))
}

/** Disables a button while its work runs. */
export async function busy(button, work) {
  button.disabled = true
  try {
    return await work()
  } finally {
    button.disabled = false
  }
}
