// What one operation of the embedded store costs: `peek` runs on every request, `get` when a process first meets a session.
import { join } from 'node:path'
import { runScript } from '../lib/sessions.mjs'

export const title = 'Operations of the lmdb store'

export async function run({ folder, core, quick }) {
  const sessions = quick ? 8_000 : 50_000
  const log = join(folder, 'store.log')
  const printed = await runScript('store-operations.mjs', [join(folder, 'store'), sessions], { core: core.server, log })
  return { sessions, operations: JSON.parse(printed.trim().split('\n').at(-1)) }
}

export function report({ sessions, operations }) {
  return {
    notes: `A store of ${sessions.toLocaleString('en')} sessions of 4 KB; wall time on one core.`,
    head: ['operation', 'µs'],
    body: Object.entries(operations).map(([name, microseconds]) => [name, microseconds.toFixed(1)]),
  }
}
