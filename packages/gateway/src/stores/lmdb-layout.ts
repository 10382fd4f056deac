import { createHash } from 'node:crypto'
import type { OutboxEntry } from '../session/outbox.ts'
import type { EndReason, SessionId, StoredSession, Tombstone } from '../session/store.ts'

/**
 * Layout 1 of the lmdb folder: how rows and keys are written. Pure. A change here needs a new number.
 *
 *   sessions  id → f64 expiresAt · f64 version (0 for a tombstone) · u8 state · u8 0 · u16 count of indices
 *                  · count × (u16 length · UTF-8) · the sealed bytes to the end            (little-endian)
 *   listed    SHA-256 of the index · id → 1 byte
 *   claims    SHA-256 of the key → f64 expiresAt (little-endian)
 *   expiry    f64 expiresAt (big-endian, so that keys sort by time) · 's' id or 'c' SHA-256 → 1 byte
 *   outbox    f64 dueAt (big-endian) · id → f64 addedAt · f64 attempts (little-endian) · the bytes to the end
 *   notes     SHA-256 of the key → f64 expiresAt (little-endian) · the bytes to the end
 *   notes-due  f64 expiresAt (big-endian) · SHA-256 of the key → 1 byte
 *   users     id → as a session, with 0 for expiresAt
 *   users-listed  as listed
 *
 * A database more changes nothing for who doesn't know it, and takes no new number.
 * Indices and claim keys come from providers and may be long: hashed, every key fits LMDB's limit.
 */
export const layout = 1

export type Row = StoredSession | Tombstone

/** Codes in `state`; 0 is a live session. On disk: never renumber. */
const reasonCodes: Record<EndReason, number> = {
  logout: 1,
  replaced: 2,
  idle: 3,
  absolute: 4,
  revoked: 5,
  'refresh-rejected': 6,
  unreadable: 7,
  limit: 8,
  'cookie-reused': 9,
  'provider-logout': 10,
}
const reasons = new Map(Object.entries(reasonCodes).map(([reason, code]) => [code, reason as EndReason]))

const head = 20

export function encodeRow(row: Row): Uint8Array {
  const live = !('ended' in row)
  const indices = live ? row.indices.map((index) => Buffer.from(index)) : []
  const bytes = live ? row.bytes : new Uint8Array()
  const value = Buffer.alloc(head + indices.reduce((sum, index) => sum + 2 + index.length, 0) + bytes.length)
  value.writeDoubleLE(row.expiresAt, 0)
  value.writeDoubleLE(live ? row.version : 0, 8)
  value.writeUInt8(live ? 0 : reasonCodes[row.ended], 16)
  value.writeUInt16LE(indices.length, 18)
  let at = head
  for (const index of indices) {
    value.writeUInt16LE(index.length, at)
    value.set(index, at + 2)
    at += 2 + index.length
  }
  value.set(bytes, at)
  return value
}

/** A row without its sealed bytes: what a change needs to know of the one before. */
export type RowHead = Tombstone | Omit<StoredSession, 'bytes'>

/**
 * Reads a row out of a buffer that the next read will overwrite: everything is copied.
 * @throws Error where the value is not what this layout writes
 */
export function decodeRow(id: SessionId, value: Uint8Array): Row {
  const { row, end } = decoded(id, value)
  if ('ended' in row) return row
  // `slice` of a plain typed array copies into memory of its own; Buffer's would share it.
  return { ...row, bytes: new Uint8Array(value.buffer, value.byteOffset + end, value.length - end).slice() }
}

/** @throws Error where the value is not what this layout writes */
export function decodeHead(id: SessionId, value: Uint8Array): RowHead {
  return decoded(id, value).row
}

/** `end`: where the sealed bytes begin. */
function decoded(id: SessionId, value: Uint8Array): { row: RowHead; end: number } {
  const view = viewOf(value)
  const expiresAt = view.getFloat64(0, true)
  const state = view.getUint8(16)
  if (state !== 0) {
    const ended = reasons.get(state)
    if (ended === undefined) throw damaged()
    return { row: { id, ended, expiresAt }, end: value.length }
  }
  const indices: string[] = []
  let at = head
  for (let left = view.getUint16(18, true); left > 0; left--) {
    const end = at + 2 + view.getUint16(at, true)
    if (end > view.byteLength) throw damaged()
    indices.push(Buffer.from(value.buffer, value.byteOffset + at + 2, end - at - 2).toString())
    at = end
  }
  return { row: { id, version: view.getFloat64(8, true), expiresAt, indices }, end: at }
}

/** `standing` of the encoded row, without copying anything: this runs on each request. */
export function encodedStanding(value: Uint8Array, now: number): number {
  const view = viewOf(value)
  if (view.getFloat64(0, true) <= now) return 0
  return view.getUint8(16) === 0 ? view.getFloat64(8, true) : -1
}

/**
 * The number under which LMDB compares the row. A tombstone's is its expiry, negative, so that it equals neither a
 * version nor another tombstone of another time.
 */
export function stampOf(row: RowHead): number {
  return 'ended' in row ? -row.expiresAt : row.version
}

export function indicesOf(row: RowHead | undefined): readonly string[] {
  return row && !('ended' in row) ? row.indices : []
}

export function encodeTime(expiresAt: number): Buffer {
  const value = Buffer.alloc(8)
  value.writeDoubleLE(expiresAt)
  return value
}

export function decodeTime(value: Uint8Array): number {
  return viewOf(value).getFloat64(0, true)
}

export function hashed(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

export function listedKey(index: string, id: SessionId): Buffer {
  return Buffer.concat([hashed(index), Buffer.from(id)])
}

export function listedId(key: Uint8Array): SessionId {
  return Buffer.from(key.subarray(32)).toString() as SessionId
}

/** Most changes of a row leave it listed where it is. */
export function movedListings(id: SessionId, before: readonly string[], after: readonly string[]) {
  if (before.length === after.length && before.every((index, i) => index === after[i])) return { gone: [], added: [] }
  const keys = (indices: readonly string[]) => indices.map((index) => listedKey(index, id))
  return { gone: keys(before), added: keys(after) }
}

export type Expiring = { readonly session: SessionId } | { readonly claim: Uint8Array }

export function expiryKey(expiresAt: number, what: Expiring): Buffer {
  const time = Buffer.alloc(8)
  time.writeDoubleBE(expiresAt)
  return 'session' in what
    ? Buffer.concat([time, Buffer.from(`s${what.session}`)])
    : Buffer.concat([time, Buffer.from('c'), what.claim])
}

/** Where a waiting entry lies: by the time at which it is due. */
export function waitingKey({ id, dueAt }: Pick<OutboxEntry, 'id' | 'dueAt'>): Buffer {
  const time = Buffer.alloc(8)
  time.writeDoubleBE(dueAt)
  return Buffer.concat([time, Buffer.from(id)])
}

export function encodeWaiting({ addedAt, attempts, bytes }: OutboxEntry): Buffer {
  const value = Buffer.alloc(16 + bytes.length)
  value.writeDoubleLE(addedAt, 0)
  value.writeDoubleLE(attempts, 8)
  value.set(bytes, 16)
  return value
}

export function decodeWaiting(key: Uint8Array, value: Uint8Array): OutboxEntry {
  const [at, view] = [viewOf(key), viewOf(value)]
  if (at.byteLength < 9 || view.byteLength < 16) throw damaged()
  return {
    id: Buffer.from(key.subarray(8, at.byteLength)).toString(),
    bytes: new Uint8Array(value.buffer, value.byteOffset + 16, view.byteLength - 16).slice(),
    addedAt: view.getFloat64(0, true),
    attempts: view.getFloat64(8, true),
    dueAt: at.getFloat64(0),
  }
}

export function encodeNote({ bytes, expiresAt }: { bytes: Uint8Array; expiresAt: number }): Buffer {
  return Buffer.concat([encodeTime(expiresAt), bytes])
}

export function decodeNote(value: Uint8Array): { bytes: Uint8Array; expiresAt: number } {
  const bytes = new Uint8Array(value.buffer, value.byteOffset + 8, value.length - 8).slice()
  return { bytes, expiresAt: decodeTime(value) }
}

export function noteDueKey(expiresAt: number, key: Uint8Array): Buffer {
  const time = Buffer.alloc(8)
  time.writeDoubleBE(expiresAt)
  return Buffer.concat([time, key])
}

/** The key of the note, and when it is over. */
export function notedAt(due: Uint8Array): [key: Uint8Array, expiresAt: number] {
  return [due.slice(8), viewOf(due).getFloat64(0)]
}

/** Sorts after every entry that expires at `time` or before, and before all others. */
export function expiryEnd(time: number): Buffer {
  const key = Buffer.alloc(9, 0xff)
  key.writeDoubleBE(time)
  return key
}

export function expiringOf(key: Uint8Array): Expiring {
  const rest = key.slice(9)
  return key[8] === 0x63 ? { claim: rest } : { session: Buffer.from(rest).toString() as SessionId }
}

/** lmdb-js hands out a buffer longer than its value and sets `length` on it: the view ends where the value ends. */
function viewOf(value: Uint8Array): DataView {
  return new DataView(value.buffer, value.byteOffset, value.length)
}

function damaged(): Error {
  return new Error('A stored session is damaged, or was written by a later version')
}
