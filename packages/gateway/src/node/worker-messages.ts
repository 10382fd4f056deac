import type { Files } from '../config/snapshot.ts'
import type { EndReason, SessionId } from '../session/store.ts'
import type { MetricValues } from '../watch/metrics.ts'

/*
 * What the primary and its workers say to each other, over the channel that node:cluster keeps between them. It is a pipe of
 * this machine that nobody else holds: secrets of the configuration go through it, tokens never do.
 */

/** A configuration, under a number that counts up. */
export interface Order {
  readonly number: number
  readonly files: Files
  readonly ticketKeys: Uint8Array
}

/** A session ended whose tokens the process that ended it may not have. Its id proves nothing. */
interface Ended {
  readonly kind: 'ended'
  readonly id: SessionId
  readonly reason: EndReason
}

export type ToWorker =
  | Ended
  | { readonly kind: 'run'; readonly order: Order }
  /** Drain and end. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'tell-metrics' }
  | { readonly kind: 'exposition'; readonly id: number; readonly text: string }

export type ToPrimary =
  | Ended
  | { readonly kind: 'waiting' }
  | { readonly kind: 'running'; readonly number: number }
  | { readonly kind: 'refused'; readonly number: number; readonly fault: Fault }
  | { readonly kind: 'metrics'; readonly values: MetricValues }
  | { readonly kind: 'want-exposition'; readonly id: number }

/** Why a configuration does not run. */
export interface Fault {
  readonly message: string
  readonly stack?: string | undefined
}
