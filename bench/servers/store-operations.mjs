// node store-operations.mjs FOLDER SESSIONS: times the operations of the lmdb store and prints them as JSON, µs each.
import { randomBytes } from 'node:crypto'
import { createLmdbStore } from '../../packages/gateway/dist/stores/lmdb.js'

const [, , folder, sessions] = process.argv
const store = createLmdbStore({ path: folder, now: Date.now })
const rows = Array.from({ length: Number(sessions) }, (_, i) => ({
  id: randomBytes(16).toString('base64url'),
  version: 1,
  bytes: randomBytes(4000),
  expiresAt: Date.now() + 3_600_000,
  indices: [`user:${i}`, `sid:${i}`],
}))

async function putAll(list, concurrency, bump) {
  for (let i = 0; i < list.length; i += concurrency) {
    const batch = list.slice(i, i + concurrency).map((row) => {
      const expected = bump ? row.version : undefined
      if (bump) row.version += 1
      return store.put({ ...row }, expected)
    })
    if ((await Promise.all(batch)).includes(false)) throw new Error('a put lost against nobody')
  }
}

async function timed(operations, work) {
  const begin = performance.now()
  await work()
  return ((performance.now() - begin) * 1000) / operations
}

await putAll(rows, 1000, false)
const shuffled = [...rows].sort((a, b) => (a.id < b.id ? -1 : 1))
const reads = 200_000
const pick = (i) => shuffled[i % shuffled.length].id
for (let i = 0; i < 20_000; i += 1) store.peek(pick(i))

const figures = {
  peek: await timed(reads, () => {
    for (let i = 0; i < reads; i += 1) if (store.peek(pick(i)) !== 1) throw new Error('a wrong version')
  }),
  get: await timed(reads, async () => {
    for (let i = 0; i < reads; i += 1) await store.get(pick(i))
  }),
  'put, 64 at once, durable': await timed(6400, () => putAll(shuffled.slice(0, 6400), 64, true)),
  'put, one at a time, durable': await timed(500, () => putAll(shuffled.slice(0, 500), 1, true)),
}
await store.close()
console.log(JSON.stringify(figures))
