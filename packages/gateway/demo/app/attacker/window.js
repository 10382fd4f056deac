/** What lies in the page itself: variables, the document, its addresses. */

/** Searched by attempts of their own, or leading out of the page. */
const ELSEWHERE = new Set([
  'localStorage',
  'sessionStorage',
  'indexedDB',
  'caches',
  'parent',
  'top',
  'opener',
  'frames',
])
const DEPTH = 4

/** Every own property of `window`, enumerable or not, symbols too, and every string within reach of one. */
export function windowProperties() {
  const places = []
  const seen = new Set([window, document, history, navigator])
  const walk = (object, path, depth) => {
    for (const key of Reflect.ownKeys(object)) {
      if (object === window && ELSEWHERE.has(key)) continue
      const value = quietly(() => object[key])
      const where = path ? `${path}.${String(key)}` : String(key)
      if (typeof value === 'string' || object === window)
        places.push({ where, text: typeof value === 'string' ? `${String(key)}=${value}` : '' })
      if (!isWalkable(value) || seen.has(value) || depth === 0) continue
      seen.add(value)
      if (value instanceof Map || value instanceof Set) places.push({ where, text: text([...value]) })
      walk(value, where, depth - 1)
    }
  }
  walk(window, '', DEPTH)
  return places
}

/** The document's text and attributes, form fields, and every address the page has had or has loaded from. */
export function documentAndAddresses() {
  const page = document.documentElement.cloneNode(true)
  for (const panel of page.querySelectorAll('[data-attacker]')) panel.remove() // our own report is not a finding
  return [
    { where: 'document', text: page.outerHTML },
    ...[...document.querySelectorAll('input, textarea')].map((field) => ({
      where: `field ${field.name}`,
      text: field.value,
    })),
    { where: 'location', text: location.href },
    { where: 'referrer', text: document.referrer },
    { where: 'window.name', text: window.name },
    { where: 'history.state', text: text(history.state) },
    ...performance.getEntries().map((entry) => ({ where: `loaded ${entry.entryType}`, text: entry.name })),
  ]
}

/** Anything as text, whatever it contains. */
export function text(value) {
  if (typeof value === 'string') return value
  const plain = (_, inner) => {
    if (inner instanceof Map || inner instanceof Set) return [...inner]
    if (inner instanceof ArrayBuffer || ArrayBuffer.isView(inner)) return new TextDecoder().decode(inner)
    return typeof inner === 'bigint' ? String(inner) : inner
  }
  return quietly(() => JSON.stringify(value, plain)) ?? String(value)
}

function isWalkable(value) {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  if (typeof value === 'function' && /\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(value)))
    return false
  return !quietly(() => value instanceof Node || value instanceof Window || value instanceof StyleSheet)
}

/** Some getters of a page throw when touched. */
function quietly(read) {
  try {
    return read()
  } catch {
    return undefined
  }
}
