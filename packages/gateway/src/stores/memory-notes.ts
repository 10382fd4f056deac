import type { Notes } from '../session/notes.ts'
import type { Clock } from '../session/store.ts'
import { assertTime } from './rules.ts'

type Note = { readonly bytes: Uint8Array; readonly expiresAt: number }

/** The memory store's notes. `usable` throws once the store is closed. */
export function createMemoryNotes({ now, usable }: { now: Clock; usable: () => void }) {
  const entries = new Map<string, Note>()
  const notes: Notes & { sweep(): number; clear(): void } = {
    async get(key) {
      usable()
      const note = entries.get(key)
      return note && note.expiresAt > now() ? copy(note) : undefined
    },
    async set(key, note) {
      usable()
      assertTime(note.expiresAt)
      entries.set(key, copy(note))
    },
    async remove(key) {
      usable()
      entries.delete(key)
    },
    sweep() {
      let forgotten = 0
      for (const [key, { expiresAt }] of entries) if (expiresAt <= now() && entries.delete(key)) forgotten++
      return forgotten
    },
    clear: () => entries.clear(),
  }
  return notes
}

/** Nobody outside holds the store's own bytes. */
function copy({ bytes, expiresAt }: Note): Note {
  return { bytes: new Uint8Array(bytes), expiresAt }
}
