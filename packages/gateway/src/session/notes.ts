/**
 * The port behind which small things lie that outlive every session: what was learned once and need not be asked for again.
 * Shared by all processes of the store. Entries are opaque bytes, sealed by who keeps them, under keys that tell nothing.
 */
export interface Notes {
  /** Undefined when there is none, or its time is over. */
  get(key: string): Promise<{ readonly bytes: Uint8Array; readonly expiresAt: number } | undefined>
  /** In place of what was there. `expiresAt`: milliseconds since the epoch. Resolves once every process sees it. */
  set(key: string, note: { readonly bytes: Uint8Array; readonly expiresAt: number }): Promise<void>
  remove(key: string): Promise<void>
}
