import type { KeyPart } from '../../config/presign-schema.ts'
import { strictlyEncoded } from './uri.ts'

/** What is put in for the placeholders of a key. `name`: as the page says it. */
export interface KeyFacts {
  readonly sub: string
  readonly identityId: string
  readonly id: string
  readonly name: string | undefined
}

export type UploadKey =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'refused'; readonly reason: string }

/** The key of one upload. What the page says is never more than a piece of one segment, behind the place of the user. */
export function uploadKey(template: readonly KeyPart[], facts: KeyFacts): UploadKey {
  const takesName = template.some((part) => 'of' in part && part.of === 'name')
  if (takesName !== (facts.name !== undefined)) {
    return refused(takesName ? 'name is missing' : 'the key of this route has no name')
  }
  if (facts.name !== undefined && !isFileName(facts.name)) return refused('name is no plain file name')
  const values = { ...facts, sub: placeOf(facts.sub), identityId: placeOf(facts.identityId), name: facts.name ?? '' }
  const key = template.map((part) => ('text' in part ? part.text : values[part.of])).join('')
  // S3's own limit.
  return Buffer.byteLength(key) > 1024 ? refused('the key is longer than 1024 bytes') : { kind: 'key', key }
}

/**
 * Refused, not repaired: slashes of either kind lead elsewhere, dots alone are a folder above to whoever resolves them, and
 * control and format characters hide what a name is.
 */
function isFileName(name: string): boolean {
  return (
    name.isWellFormed() && name.length > 0 && name.length <= 200 && !/[/\\\p{C}]/u.test(name) && !/^\.+$/.test(name)
  )
}

/** One segment for one user, and no two for one: a subject may be an address, or dots. */
function placeOf(user: string): string {
  if (/^[\w.~@+=:-]+$/.test(user) && !/^\.+$/.test(user)) return user
  return strictlyEncoded(user).replaceAll('.', '%2E')
}

function refused(reason: string): UploadKey {
  return { kind: 'refused', reason }
}
