import { createHmac } from 'node:crypto'
import type { KeyRing } from './key-ring.ts'
import type { SessionId } from './store.ts'

export interface Handles {
  /** Names a session in logs and lists: a keyed hash of its id, which leads back to nothing. @see OWASP Logging CS */
  handleOf(id: SessionId): string
}

export function createHandles(ring: KeyRing): Handles {
  // Of the oldest key: a session keeps its name when a newer one comes, and in every process alike.
  const key = () => ring.derive(ring.oldest, 'log-hash') as Buffer
  const hash = (id: SessionId) => createHmac('sha256', key()).update(id).digest('base64url').slice(0, 22)
  // With a hyphen in front, `coatcheck sessions revoke ID` would take it for an option.
  return { handleOf: (id) => hash(id).replace(/^-/, '_') }
}
