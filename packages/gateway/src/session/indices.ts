import { hash } from 'node:crypto'
import type { SessionRecord, Subject } from './record.ts'

/** Index keys are hashes: a copy of the store doesn't list who its users are. */
export function userIndex(subject: Subject): string {
  return `user:${digest(subject.iss, subject.sub)}`
}

export function providerSidIndex(iss: string, sid: string): string {
  return `sid:${digest(iss, sid)}`
}

export function indicesOf(record: Pick<SessionRecord, 'subject' | 'providerSid'>): string[] {
  const indices = [userIndex(record.subject)]
  if (record.providerSid !== undefined) indices.push(providerSidIndex(record.subject.iss, record.providerSid))
  return indices
}

/** JSON keeps the parts apart: no issuer and subject can be shifted into looking like another pair. */
function digest(...parts: string[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url')
}
