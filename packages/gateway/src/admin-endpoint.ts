import type { Respond } from './decision.ts'

/** A request to the admin listener. */
export interface AdminRequest {
  readonly method: string
  readonly path: string
  /** The path segment that `*` stands for in the row's path. */
  readonly name: string
  readonly parameters: URLSearchParams
  readonly address: string
  readonly requestId: string
}

/** One row of the admin listener's route table. */
export interface AdminRow {
  /** A segment `*` is handed over as `name`. */
  readonly path: string
  readonly methods: readonly string[]
  /** Who may ask: anybody who reaches the listener, or who shows the admin token. */
  readonly access: 'open' | 'token'
  readonly handle: (request: AdminRequest) => Promise<Respond>
}
