import { createHmac, randomBytes } from 'node:crypto'
import { timingSafeEqual } from '../protocol/timing-safe.ts'
import type { KeyRing } from './key-ring.ts'
import type { SessionId } from './store.ts'

/** Tokens for forms: what a page of the application has, and a page of another site can't get. */
export interface FormTokens {
  /** A token of the session. Another text each time. */
  issue(id: SessionId): string
  /** Whether it is a token of this session. In a time that tells nothing of how wrong it is. */
  verify(token: string, id: SessionId): boolean
}

/**
 * `<key id>.<salt and HMAC-SHA256, base64url>`; the HMAC is over the salt and the session's id, under a key of the ring.
 *
 * Bound to the session by a key that no browser has: a cookie that somebody plants from a sibling subdomain makes no token
 * good, as it would with a double submit. Bound to its id, not to the value of the cookie: a form that stays open while
 * the cookie rotates can still be sent, and a new sign-in has other tokens. The salt makes every issue another text, so that
 * a page which is compressed together with text of an attacker's choice gives nothing away (BREACH). The key is named, so
 * that tokens outlive a rotation of the ring.
 * @see OWASP CSRF Prevention, "Signed Double-Submit Cookie", "HMAC CSRF Token" · NIST FIPS 198-1
 */
export function createFormTokens(ring: KeyRing): FormTokens {
  function codeOf(keyId: string, salt: Uint8Array, id: SessionId): Buffer | undefined {
    const key = ring.derive(keyId, 'form-token')
    return key && createHmac('sha256', key).update(salt).update(id).digest()
  }

  return {
    issue(id) {
      const salt = randomBytes(saltLength)
      const keyId = ring.current
      return `${keyId}.${Buffer.concat([salt, codeOf(keyId, salt, id) as Buffer]).toString('base64url')}`
    },
    verify(token, id) {
      // One spelling only, and nothing but what we can have issued.
      const [, keyId, text] = FORM.exec(token) ?? []
      if (keyId === undefined || text === undefined) return false
      const bytes = Buffer.from(text, 'base64url')
      const code = codeOf(keyId, bytes.subarray(0, saltLength), id)
      return code !== undefined && timingSafeEqual(code, bytes.subarray(saltLength))
    },
  }
}

/** Bytes. With the 32 of the code they fill base64url without a rest. */
const saltLength = 16

const FORM = /^([\w-]{1,64})\.([\w-]{64})$/
