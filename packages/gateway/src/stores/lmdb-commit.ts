import type { Database } from 'lmdb'

/** Runs the writes of `action` if the row still has `stamp` (undefined: if there is none), in one transaction. */
export type Conditionally = <K extends string | Uint8Array>(
  database: Database<Uint8Array, K>,
  key: K,
  condition: { readonly stamp: number | undefined; readonly action: () => void },
) => Promise<boolean>

export interface Committer {
  readonly conditionally: Conditionally
  /** Resolves when all that was asked for before is committed, or has failed. */
  settled(): Promise<void>
}

/**
 * One commit at a time, and what is asked for meanwhile goes into the next one together. A durable commit takes as long as
 * the disk does, whatever is in it: one for each write would let no more than a thousand or two a second through, which a
 * refresh storm exceeds.
 */
export function createCommitter(): Committer {
  let waiting: (() => Promise<void>)[] = []
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      await Promise.all(group.map((write) => write()))
    }
    running = undefined
  }

  return {
    conditionally: (database, key, { stamp, action }) =>
      new Promise((resolve, reject) => {
        const write = () =>
          stamp === undefined ? database.ifNoExists(key, action) : database.ifVersion(key, stamp, action)
        // Not `async` here: the writes of a group must begin in one turn to be one transaction.
        waiting.push(() => attempt(write).then(resolve, reject))
        running ??= run()
      }),
    settled: async () => await running,
  }
}

async function attempt(write: () => Promise<boolean>): Promise<boolean> {
  try {
    return await write()
  } catch (error) {
    // lmdb-js keeps the cause in a promise of its own, whose rejection would otherwise end the process.
    const cause = await (error as { commitError?: Promise<never> }).commitError?.catch((reason: Error) => reason)
    throw new Error(`The session store could not be written: ${(cause ?? (error as Error)).message}`, { cause: error })
  }
}
