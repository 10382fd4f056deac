/**
 * Whether both are equal, in a time that depends on their length alone and not on where they first differ. For secrets
 * of a fixed length: the length itself is not hidden. Strings are compared by UTF-16 unit.
 */
export function timingSafeEqual(a: Uint8Array | string, b: Uint8Array | string): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= unitAt(a, i) ^ unitAt(b, i)
  return difference === 0
}

function unitAt(text: Uint8Array | string, i: number): number {
  return typeof text === 'string' ? text.charCodeAt(i) : (text[i] as number)
}
