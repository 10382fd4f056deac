import { createHmac } from 'node:crypto'
import { timingSafeEqual } from '../protocol/timing-safe.ts'
import type { KeyRing } from '../session/key-ring.ts'
import type { Clock } from '../session/store.ts'

/** How long a transmitter may take to send the event that was asked for, in milliseconds. */
const validFor = 24 * 3_600_000

export interface VerificationStates {
  /** A state for a question to this transmitter. */
  make(issuer: string): string
  /** Whether we asked this transmitter with this state. */
  isOurs(issuer: string, state: unknown): boolean
}

/**
 * What we send with a request for verification, and expect back in the event. It proves itself by a key of the ring, so that
 * any process can tell: the one that the event reaches is seldom the one that asked. @see SSF 1.0 §8.1.4.1
 */
export function createVerificationStates({ ring, now }: { ring: KeyRing; now: Clock }): VerificationStates {
  function sign(issuer: string, keyId: string, time: string): string | undefined {
    const key = ring.derive(keyId, 'signals-state')
    return key && createHmac('sha256', key).update(`${time} ${issuer}`).digest('base64url')
  }

  return {
    make(issuer) {
      const time = now().toString(36)
      return `${ring.current}.${time}.${sign(issuer, ring.current, time)}`
    },
    isOurs(issuer, state) {
      if (typeof state !== 'string') return false
      const [keyId = '', time = '', proof = '', ...more] = state.split('.')
      const expected = sign(issuer, keyId, time)
      if (expected === undefined || more.length > 0 || !timingSafeEqual(proof, expected)) return false
      return now() - Number.parseInt(time, 36) < validFor
    },
  }
}
