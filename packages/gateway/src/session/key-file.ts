import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createKeyRing, type KeyRing, type RingKey } from './key-ring.ts'

/** Reads the key ring, or makes one with a single fresh key (mode 0600) if the file is not there yet. */
export function openKeyFile(file: string, now: () => number): KeyRing {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new Error(`${file}: the key ring can not be read`, { cause })
    createKeyFile(file, [newRingKey(now())])
    text = readFileSync(file, 'utf8')
  }
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new Error(`${file}: the key ring can be read by others; run: chmod 600 ${file}`)
  }
  return createKeyRing(parseKeyFile(text, file))
}

export function newRingKey(now: number): RingKey {
  return { id: randomBytes(6).toString('base64url'), key: randomBytes(32), createdAt: new Date(now).toISOString() }
}

function createKeyFile(file: string, keys: readonly RingKey[]): void {
  const ring = keys.map((key) => ({
    id: key.id,
    createdAt: key.createdAt,
    key: Buffer.from(key.key).toString('base64url'),
  }))
  mkdirSync(dirname(file), { recursive: true })
  // Written aside and linked into place: two processes that start together agree on one ring, and a crash leaves no half.
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  writeFileSync(draft, `${JSON.stringify({ version: 1, keys: ring }, undefined, 2)}\n`, {
    mode: 0o600,
    flag: 'wx',
    flush: true,
  })
  chmodSync(draft, 0o600)
  try {
    linkSync(draft, file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
  } finally {
    rmSync(draft)
  }
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
  return ring.keys.map((entry: { id?: unknown; key?: unknown; createdAt?: unknown }, index) => {
    if (typeof entry?.id !== 'string' || !/^[\w-]{1,64}$/.test(entry.id) || seen.has(entry.id))
      throw broken(`keys[${index}].id`)
    seen.add(entry.id)
    const key = Buffer.from(String(entry.key), 'base64url')
    if (key.length !== 32) throw broken(`keys[${index}].key is not 32 bytes`)
    return { id: entry.id, key, createdAt: String(entry.createdAt ?? '') }
  })
}
