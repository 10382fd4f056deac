import type { Database } from 'lmdb'

/** Runs the writes of `action` if the row still has `stamp` (undefined: if there is none), in one transaction. */
export async function conditionally<K extends string | Uint8Array>(
  database: Database<Uint8Array, K>,
  key: K,
  stamp: number | undefined,
  action: () => void,
): Promise<boolean> {
  try {
    return await (stamp === undefined ? database.ifNoExists(key, action) : database.ifVersion(key, stamp, action))
  } catch (error) {
    // lmdb-js keeps the cause in a promise of its own, whose rejection would otherwise end the process.
    const cause = await (error as { commitError?: Promise<never> }).commitError?.catch((reason: Error) => reason)
    throw new Error(`The session store could not be written: ${(cause ?? (error as Error)).message}`, { cause: error })
  }
}
