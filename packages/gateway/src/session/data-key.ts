import { parseCookieValue } from './cookie-value.ts'
import type { KeyRing } from './key-ring.ts'
import type { LiveSession } from './record.ts'
import { unwrapDataKey } from './sealed-record.ts'

/** The key of a session's tokens, which only its cookie gives; undefined where that is of another one, or past its time. */
export function dataKeyOf(
  ring: KeyRing,
  { id, record }: Pick<LiveSession, 'id' | 'record'>,
  text: string,
): Buffer | undefined {
  const cookie = parseCookieValue(text)
  const generation = cookie?.id === id ? record.lineage.find(({ number }) => number === cookie.generation) : undefined
  const dataKey = cookie && generation && unwrapDataKey(ring, id, generation, cookie.secret)
  return typeof dataKey === 'string' ? undefined : dataKey
}
