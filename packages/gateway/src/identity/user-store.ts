/**
 * The port behind which the directory of users is stored: beside the sessions, in the same store, and shared by all its
 * processes. Rows are opaque bytes under opaque keys, and have no end of their own. Every driver passes the one contract
 * suite (test/contract). A store that fails throws; `undefined` means "not there".
 */

/** A hash of issuer and subject in base64url: names a row, and opens nothing. */
export type UserId = string & { readonly __userId: unique symbol }

export interface StoredUser {
  readonly id: UserId
  /** Counts up by one with each write, from a number that the first writer chose. */
  readonly version: number
  /** The sealed row. */
  readonly bytes: Uint8Array
  /** Opaque keys under which `find` lists this row; each write brings its own. */
  readonly indices: readonly string[]
}

export interface UserPage {
  readonly ids: readonly UserId[]
  readonly cursor?: string
}

export interface UserStore {
  get(id: UserId): Promise<StoredUser | undefined>

  /**
   * Writes only if the stored version is still `expected` (undefined: only if nothing is there). Resolves to false if another
   * writer won. Resolves once the write is visible to every process.
   * @throws RangeError unless `next.version` is `expected` + 1, or any positive integer for a new row
   */
  put(next: StoredUser, expected: number | undefined): Promise<boolean>

  /** Forgets the row if its version is still `expected`; false if it is another, or not there. */
  remove(id: UserId, expected: number): Promise<boolean>

  /** Ids of the rows listed under `index`. */
  find(index: string): Promise<UserId[]>

  /**
   * Ids of all rows, page by page: at most `limit` ids, and the `cursor` of the next page unless this was the last. A row that
   * is there from the first page to the last is in one of them, however many come and go meanwhile.
   */
  scan(limit: number, cursor?: string): Promise<UserPage>
}
