import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/**
 * AES-256-GCM with a fresh random nonce: `nonce (12) ‖ tag (16) ‖ ciphertext`. The context is authenticated with it, so
 * that bytes moved to another row, another session or another purpose do not open. @see NIST SP 800-38D
 */
export function seal(key: Uint8Array, plaintext: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(nonceLength)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(context))
  const body = cipher.update(plaintext)
  cipher.final()
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}

/** Undefined when a byte was changed, or when the key or the context is another one. */
export function unseal(key: Uint8Array, sealed: Uint8Array, context: string): Buffer | undefined {
  if (sealed.length < overhead) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceLength), { authTagLength: tagLength })
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(sealed.subarray(nonceLength, overhead))
  const plaintext = decipher.update(sealed.subarray(overhead))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return plaintext
}

const nonceLength = 12
const tagLength = 16
const overhead = nonceLength + tagLength
