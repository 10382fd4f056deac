/**
 * base64url without padding, one spelling for each sequence of bytes: a secret that could be written in two ways would
 * slip past a look-up by text. @see RFC 4648 §3.5 (canonical encoding), §5
 */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const values = new Int8Array(128).fill(-1)
for (let i = 0; i < 64; i++) values[ALPHABET.charCodeAt(i)] = i

export function encodeBase64url(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let pending = 0
  for (const byte of bytes) {
    pending = (pending << 8) | byte
    bits += 8
    while (bits >= 6) {
      bits -= 6
      text += ALPHABET[(pending >> bits) & 63]
    }
    pending &= (1 << bits) - 1
  }
  if (bits > 0) text += ALPHABET[(pending << (6 - bits)) & 63]
  return text
}

/** The bytes; undefined for padding, white space, other characters, an impossible length or non-zero trailing bits. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let at = 0
  let bits = 0
  let pending = 0
  for (let i = 0; i < text.length; i++) {
    const value = values[text.charCodeAt(i)] ?? -1
    if (value < 0) return undefined
    pending = (pending << 6) | value
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = pending >> bits
      pending &= (1 << bits) - 1
    }
  }
  return pending === 0 ? bytes : undefined
}
