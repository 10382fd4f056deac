import { hash } from 'node:crypto'
import type { FederatedIdentity, SessionRecord, Subject } from './record.ts'

/** Index keys are hashes: a copy of the store doesn't list who its users are. */
export function userIndex(subject: Subject): string {
  return `user:${digest(subject.iss, subject.sub)}`
}

/** The issuer is part of it: the same sid at two providers is two sign-ins. */
export function providerSidIndex(iss: string, sid: string): string {
  return `sid:${digest(iss, sid)}`
}

/** Of all providers together: one address may be that of two users. `email` is normalised, see email.ts. */
export function emailIndex(email: string): string {
  return `email:${digest(email)}`
}

/** A user by the name that they have at the provider behind the provider `iss`. */
export function federatedIndex(iss: string, { provider, sub }: FederatedIdentity): string {
  return `federated:${digest(iss, provider, sub)}`
}

type Indexed = Pick<SessionRecord, 'subject' | 'providerSid' | 'email' | 'federated'>

/** All under which a session is found; none of it changes in the session's life. */
export function indicesOf({ subject, providerSid, email, federated = [] }: Indexed): string[] {
  return [
    userIndex(subject),
    ...(providerSid === undefined ? [] : [providerSidIndex(subject.iss, providerSid)]),
    ...(email === undefined ? [] : [emailIndex(email)]),
    ...federated.map((identity) => federatedIndex(subject.iss, identity)),
  ]
}

/** JSON keeps the parts apart: no issuer and subject can be shifted into looking like another pair. */
function digest(...parts: string[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url')
}
