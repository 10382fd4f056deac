import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { reason } from '../config/surroundings.ts'
import { createKeyRing, type KeyRing, type RingKey } from './key-ring.ts'

/** What a running process noticed about its key ring. */
export type KeyFileEvent =
  | { readonly kind: 'changed'; readonly current: string; readonly keys: number }
  /** The file can't be used; the keys that were read before serve on. */
  | { readonly kind: 'refused'; readonly cause: unknown }

/**
 * Reads the key ring, or makes one with a single fresh key (mode 0600) if the file is not there yet.
 *
 * The ring follows its file: it is looked at again whenever something is sealed or signed, and whenever a key is asked for that the
 * ring does not have, because another process may have sealed under a newer one. So a rotation needs no restart and signs
 * nobody out. A look is one stat; requests that only open need none.
 */
export function openKeyFile(
  file: string,
  now: () => number,
  report: (event: KeyFileEvent) => void = () => {},
): KeyRing {
  let seen = stampOf(file)
  if (seen === undefined) {
    createKeyFile(file, [newRingKey(now())])
    seen = stampOf(file)
  }
  let ring = createKeyRing(readKeyFile(file))

  function look(): KeyRing {
    const stamp = stampOf(file)
    if (stamp === seen) return ring
    seen = stamp
    try {
      const next = readKeyFile(file)
      // Another ring, or an older copy, put in its place by mistake: every session of today would be unreadable.
      if (!next.some(({ id }) => id === ring.current))
        throw new Error(`${file}: it lacks the key that seals now (${ring.current}); put that key ring back`)
      ring = createKeyRing(next)
      report({ kind: 'changed', current: ring.current, keys: next.length })
    } catch (cause) {
      report({ kind: 'refused', cause })
    }
    return ring
  }

  return {
    get current() {
      return look().current
    },
    get keys() {
      return look().keys
    },
    get oldest() {
      return ring.oldest
    },
    derive: (keyId, purpose) => ring.derive(keyId, purpose) ?? look().derive(keyId, purpose),
    combine: (keyId, secret, purpose) => ring.combine(keyId, secret, purpose) ?? look().combine(keyId, secret, purpose),
  }
}

/** Changes with every change of the file, its mode and its owner included. Undefined if it is not there. */
function stampOf(file: string): string | undefined {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
  return stat && `${stat.ino} ${stat.size} ${stat.ctimeNs}`
}

export function newRingKey(now: number): RingKey {
  return { id: randomBytes(6).toString('base64url'), key: randomBytes(32), createdAt: new Date(now).toISOString() }
}

/**
 * The keys of a file, oldest first.
 * @throws Error when it can't be read, others can read it, or it is not a key ring
 */
export function readKeyFile(file: string): RingKey[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new Error(`${file}: the key ring can not be read: ${reason(cause)}`, { cause })
  }
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new Error(`${file}: the key ring can be read by others; run: chmod 600 ${file}`)
  }
  return parseKeyFile(text, file)
}

/** False if there is such a file already: it is left as it is. */
export function createKeyFile(file: string, keys: readonly RingKey[]): boolean {
  // Written aside and linked into place: two processes that start together agree on one ring, and a crash leaves no half.
  const draft = draftKeyFile(file, keys)
  try {
    linkSync(draft, file)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    return false
  } finally {
    rmSync(draft)
  }
}

/**
 * A complete key ring beside `file`, on the disk, readable by its owner only; gives its name.
 * @throws Error that names the ring, not the draft
 */
export function draftKeyFile(file: string, keys: readonly RingKey[]): string {
  const ring = keys.map(({ key, ...named }) => ({ ...named, key: Buffer.from(key).toString('base64url') }))
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(draft, `${JSON.stringify({ version: 1, keys: ring }, undefined, 2)}\n`, {
      mode: 0o600,
      flag: 'wx',
      flush: true,
    })
  } catch (cause) {
    throw new Error(`${file}: the key ring can not be written: ${reason(cause)}`, { cause })
  }
  chmodSync(draft, 0o600)
  return draft
}

function parseKeyFile(text: string, file: string): RingKey[] {
  const broken = (what: string) =>
    new Error(
      `${file}: not a key ring (${what}); restore it from your backup, or move it away to start with a new one, which ends all sessions`,
    )
  let ring: { version?: unknown; keys?: unknown }
  try {
    ring = JSON.parse(text)
  } catch {
    throw broken('not JSON')
  }
  if (ring?.version !== 1) throw broken('version is not 1')
  if (!Array.isArray(ring.keys) || ring.keys.length === 0) throw broken('it has no keys')
  const seen = new Set<string>()
  return ring.keys.map((entry: { id?: unknown; key?: unknown; createdAt?: unknown; withdraws?: unknown }, index) => {
    if (typeof entry?.id !== 'string' || !/^[\w-]{1,64}$/.test(entry.id) || seen.has(entry.id))
      throw broken(`keys[${index}].id`)
    seen.add(entry.id)
    const key = Buffer.from(String(entry.key), 'base64url')
    if (key.length !== 32) throw broken(`keys[${index}].key is not 32 bytes`)
    const withdraws = entry.withdraws === true ? ({ withdraws: true } as const) : {}
    return { id: entry.id, createdAt: String(entry.createdAt ?? ''), ...withdraws, key }
  })
}
