import { chownSync, closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { draftKeyFile, newRingKey, readKeyFile } from './key-file.ts'
import type { RingKey } from './key-ring.ts'

/**
 * Beyond the longest session: sign-ins that began under the old key, and gateways that heard of the new one a little
 * later; and tokens for upstreams that were signed by it, see signing-schedule.ts. Milliseconds.
 */
const margin = 60 * 60_000

export interface Rotation {
  readonly added: RingKey
  readonly retired: readonly RingKey[]
}

/**
 * Puts a new key at the end of the ring: it seals from now on, and the others still open. The file is replaced in one
 * step, so that a reader, a backup or a crash finds the old ring or the new one, whole.
 * @param retire drop keys that nothing can need any more: see `retirable`
 * @param withdraw the keys that are there sign no token from now on, and are believed no longer than they are kept
 * @throws Error when the ring can't be read or written, or another rotation is under way
 */
export function rotateKeyFile(
  name: string,
  { now, retire, withdraw = false }: { now: number; retire?: { readonly absolute: number }; withdraw?: boolean },
): Rotation {
  // If there is none, in its own words.
  readKeyFile(name)
  // The file itself, where the name is a link to it.
  const file = realpathSync(name)
  return exclusively(file, () => {
    const keys = readKeyFile(file)
    const retired = retire ? keys.filter((key) => retirable(keys, key, { now, absolute: retire.absolute })) : []
    const added = { ...newRingKey(now), ...(withdraw && { withdraws: true as const }) }
    replace(file, [...keys.filter((key) => !retired.includes(key)), added])
    return { added, retired }
  })
}

/**
 * A key may go once its successor has been there for longer than any session lives: whatever was sealed under it was
 * sealed anew by then, or is over. Never the newest; never one whose successor has no readable date.
 * @param times milliseconds; `absolute` as in `session.absolute`
 */
export function retirable(keys: readonly RingKey[], key: RingKey, times: { now: number; absolute: number }): boolean {
  const successor = keys[keys.indexOf(key) + 1]
  if (successor === undefined) return false
  return times.now - Date.parse(successor.createdAt) > times.absolute + margin
}

/** Two rotations at once would lose one of the two keys, and every session that was sealed under it. */
function exclusively<Value>(file: string, work: () => Value): Value {
  const lock = `${file}.lock`
  try {
    closeSync(openSync(lock, 'wx', 0o600))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    throw new Error(`${lock} is there: another rotation is under way; if none is, remove that file`)
  }
  try {
    return work()
  } finally {
    rmSync(lock)
  }
}

function replace(file: string, keys: readonly RingKey[]): void {
  const draft = draftKeyFile(file, keys)
  try {
    // Run by root, the file must stay the gateway's own, or the gateway could not read it any more.
    const { uid, gid } = statSync(file)
    if (uid !== statSync(draft).uid) chownSync(draft, uid, gid)
    renameSync(draft, file)
  } catch (cause) {
    rmSync(draft, { force: true })
    throw new Error(`${file}: the new key ring can not be put in place; the old one is untouched`, { cause })
  }
  const folder = openSync(dirname(file), 'r')
  fsyncSync(folder)
  closeSync(folder)
}
