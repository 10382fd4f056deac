/**
 * The one spelling that AWS signs: letters, digits and `-._~` stay, every other byte is an upper-case escape.
 * encodeURIComponent leaves `!'()*` raw, which AWS doesn't.
 */
export function strictlyEncoded(text: string): string {
  const encoded = encodeURIComponent(text)
  return left.test(encoded) ? encoded.replace(leftAll, escapeOf) : encoded
}

const left = /[!'()*]/
const leftAll = /[!'()*]/g

function escapeOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}

/** The text behind the escapes; undefined where they are no UTF-8. */
export function decoded(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
