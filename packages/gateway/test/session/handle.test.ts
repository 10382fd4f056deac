import { expect, test } from 'vitest'
import { createHandles } from '../../src/session/handle.ts'
import { createKeyRing } from '../../src/session/key-ring.ts'
import type { SessionId } from '../../src/session/store.ts'

test('LO6 a handle can be typed behind `coatcheck sessions revoke`: none looks like an option', () => {
  const ring = createKeyRing([{ id: 'one', key: Buffer.alloc(32, 1), createdAt: '' }])
  const { handleOf } = createHandles(ring)
  const handles = Array.from({ length: 1000 }, (_, at) => handleOf(`session-${at}` as SessionId))
  for (const handle of handles) expect(handle).toMatch(/^\w[\w-]{21}$/)
  expect(new Set(handles).size).toBe(1000)
})
