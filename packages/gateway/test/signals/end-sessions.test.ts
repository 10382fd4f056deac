import { expect, test } from 'vitest'
import type { ListedSession } from '../../src/session/sessions.ts'
import type { SessionId } from '../../src/session/store.ts'
import { endSessions } from '../../src/signals/end-sessions.ts'

const listed = (id: string) => ({ id: id as SessionId }) as ListedSession

test('one session that can not be ended keeps none of the others alive, and the failure is told', async () => {
  const live = new Set(['a', 'b', 'c'])
  const end = async (id: SessionId) => {
    if (id === 'b') throw new Error('the store is broken')
    return live.delete(id)
  }
  await expect(endSessions({ end }, async () => [...live].map(listed), 'revoked')).rejects.toThrow('broken')
  expect([...live]).toEqual(['b'])
})

test('someone who signs in without end does not hold it for ever', async () => {
  let next = 0
  const ended = await endSessions({ end: async () => true }, async () => [listed(`s-${next++}`)], 'revoked')
  expect(ended).toBe(10)
})
