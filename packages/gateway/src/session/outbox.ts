/**
 * The port behind which work waits that must outlive this process: here, tokens that a provider has yet to hear are
 * revoked. It lies beside the sessions, in the same store, and is shared by all its processes. Entries are opaque bytes.
 *
 * Taking an entry is leasing it: it is due again when the lease is over, so that work of a process that died goes on.
 * `attempts` is the fence: who slept past the lease can neither finish nor put off what another has taken since.
 */

export interface OutboxEntry {
  readonly id: string
  /** Sealed by who added it. */
  readonly bytes: Uint8Array
  /** When it was added, in milliseconds since the epoch. */
  readonly addedAt: number
  /** How often it was taken, this time included; 0 while it never was. */
  readonly attempts: number
  /** Milliseconds since the epoch: when it may be taken (again). */
  readonly dueAt: number
}

export interface Outbox {
  /** Resolves once the entry would survive this process. `id` is unique: random. */
  add(entry: { readonly id: string; readonly bytes: Uint8Array; readonly dueAt: number }): Promise<void>

  /**
   * Leases at most `limit` entries that are due, those that wait for longest first, until `until` (milliseconds since the
   * epoch). No other process gets them before.
   */
  take(limit: number, until: number): Promise<OutboxEntry[]>

  /** Puts an entry off until `dueAt`. False if the lease was over and another has taken it. */
  postpone(taken: OutboxEntry, dueAt: number): Promise<boolean>

  /** Forgets an entry. False if the lease was over and another has taken it. */
  remove(taken: OutboxEntry): Promise<boolean>

  /** How many entries wait, those on lease included. */
  count(): Promise<number>
}
