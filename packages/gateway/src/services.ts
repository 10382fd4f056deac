import type { Config } from './config/schema.ts'
import type { ReadFile } from './config/snapshot.ts'
import type { DecisionLog } from './decision-log.ts'
import type { EventLog } from './event-log.ts'
import type { Directory } from './identity/directory.ts'
import type { Limits } from './limits/limits.ts'
import type { ProviderClient } from './oidc/provider-client.ts'
import type { RefreshTokens } from './oidc/token-refresh.ts'
import type { TokenRevocation } from './oidc/token-revocation.ts'
import type { FormTokens } from './session/form-token.ts'
import type { KeyRing } from './session/key-ring.ts'
import type { LiveStreams } from './session/live-streams.ts'
import type { Sessions } from './session/sessions.ts'
import type { Clock, SessionStore } from './session/store.ts'
import type { GatewayCookies } from './session-cookie.ts'
import type { Signals } from './signals/signals.ts'
import type { RoleCredentials } from './upstream/aws/role-credentials.ts'
import type { DpopProofs } from './upstream/dpop-proofs.ts'
import type { Exchanges } from './upstream/exchange.ts'
import type { Mint } from './upstream/mint.ts'
import type { PlaceOf } from './watch/places.ts'
import type { Tally } from './watch/tally.ts'

/** What the guard and the endpoints are made of; built once at start, passed by hand. */
export interface Services {
  readonly config: Config
  readonly store: SessionStore
  readonly sessions: Sessions
  readonly liveStreams: LiveStreams
  readonly directory: Directory
  readonly limits: Limits
  readonly providers: ReadonlyMap<string, ProviderClient>
  readonly refreshTokens: RefreshTokens
  readonly dpopProofs: DpopProofs
  readonly exchanges: Exchanges
  readonly mint: Mint
  readonly roleCredentials: RoleCredentials
  /** By upstream: milliseconds by which its clock is ahead of ours, where that has shown. */
  readonly clockOffsets: Map<string, number>
  readonly revocation: TokenRevocation
  readonly signals: Signals
  readonly ring: KeyRing
  readonly formTokens: FormTokens
  readonly cookies: GatewayCookies
  readonly log: EventLog
  readonly decisions: DecisionLog
  readonly tally: Tally
  readonly now: Clock
  readonly placeOf: PlaceOf
  /** A fresh id for one request: unique, not secret. */
  readonly newRequestId: () => string
  readonly newTraceparent: () => string
  /** The text of a file that the configuration names, as it was when the configuration was read. */
  readonly readFile: ReadFile
}
