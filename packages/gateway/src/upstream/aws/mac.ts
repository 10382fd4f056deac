import { hash } from 'node:crypto'

/** The MAC of an ASCII text, in hex. @throws RangeError for any other text */
export type Mac = (text: string) => string

/**
 * HMAC-SHA256 under one key, for many short texts. The hash is node:crypto's; what is ours is the two pads, prepared once:
 * an object of node:crypto for each text takes twice the time, and leaves the garbage collector something native.
 * @param key of at most 64 bytes
 * @see RFC 2104 §2
 */
export function createMac(key: Uint8Array): Mac {
  if (key.length > block) throw new RangeError(`a key of ${key.length} bytes; ${block} at most`)
  const outer = Buffer.alloc(block + digest, 0x5c)
  let inner = Buffer.alloc(block + usual, 0x36)
  for (const [i, byte] of key.entries()) {
    inner[i] = 0x36 ^ byte
    outer[i] = 0x5c ^ byte
  }
  return (text) => {
    // Written as bytes, U+0141 would become an A.
    if (!ascii.test(text)) throw new RangeError('a text that is not ASCII')
    if (text.length > inner.length - block) inner = Buffer.concat([inner.subarray(0, block)], block + text.length)
    const end = block + inner.write(text, block, 'latin1')
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), block, 'latin1')
    return hash('sha256', outer, 'hex')
  }
}

const ascii = /^[\n\x20-\x7e]*$/

/** Bytes. */
const block = 64
const digest = 32
const usual = 256
