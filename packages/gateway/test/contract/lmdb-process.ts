/** A gateway process reduced to its store: does what the test asks over IPC. Started by `second-process.ts`. */
import { randomBytes } from 'node:crypto'
import type { SessionId } from '../../src/session/store.ts'
import { createLmdbStore } from '../../src/stores/lmdb.ts'
import type { Order } from './second-process.ts'

const store = createLmdbStore({ path: process.argv[2] ?? '', now: Date.now })

/** Adds `steps` to the version by read, change, compare-and-set; answers how many of its writes were accepted. */
async function hammer(id: SessionId, steps: number): Promise<number> {
  let won = 0
  while (won < steps) {
    const row = await store.get(id)
    if (row === undefined || 'ended' in row) throw new Error('the session vanished')
    if (await store.put({ ...row, version: row.version + 1, bytes: randomBytes(500) }, row.version)) won++
  }
  return won
}

/** Creates sessions until the process is killed; each is reported once its put was acknowledged, and before the next. */
async function pour(index: string): Promise<never> {
  for (;;) {
    const id = randomBytes(16).toString('base64url') as SessionId
    const next = { id, version: 1, bytes: randomBytes(2_000), expiresAt: Date.now() + 600_000, indices: [index] }
    if (await store.put(next, undefined)) await new Promise((sent) => process.send?.({ poured: id }, sent))
  }
}

async function run(order: Order): Promise<unknown> {
  if (order.method === 'hammer') return hammer(order.args[0], order.args[1])
  if (order.method === 'pour') return pour(order.args[0])
  if (order.method === 'outbox') {
    const [name, ...args] = order.args
    return (store.outbox[name] as (...args: unknown[]) => unknown)(...args)
  }
  return (store[order.method] as (...args: unknown[]) => unknown)(...order.args)
}

process.on('message', async (order: Order & { number: number }) => {
  try {
    process.send?.({ number: order.number, result: await run(order) })
  } catch (error) {
    process.send?.({ number: order.number, error: String(error) })
  }
})
process.send?.({ ready: true })
