/**
 * Text from a request, made fit for a log: control characters, line separators and whatever reverses or hides text on a
 * terminal become visible escapes, and so does the backslash, so that an escape can't be forged. At most `max`
 * characters are taken; `…` marks the cut. @see CWE-117 (log forging) · CVE-2021-42574 (bidirectional controls)
 */
export function printable(value: string, max = 200): string {
  const text = value.length > max ? value.slice(0, max) : value
  const shown = UNFIT.test(text) ? text.replace(EACH_UNFIT, escaped) : text
  return value.length > max ? `${shown}…` : shown
}

/** Other and separators of Unicode (Cc, Cf, Cs, Co, Cn, Zl, Zp), spaces that aren't a space, and the backslash. */
const UNFIT = /[\p{C}\p{Zl}\p{Zp}\\]|(?! )\p{Zs}/u
const EACH_UNFIT = new RegExp(UNFIT, 'gu')

function escaped(char: string): string {
  if (char === '\\') return '\\\\'
  const code = (char.codePointAt(0) ?? 0).toString(16)
  return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u{${code}}`
}
