import type { BrowserCookies } from './cookie-jar.ts'
import type { Intent, SameSiteRules } from './fetch-metadata.ts'

export interface BrowserOptions {
  /** Where the application lives: relative addresses, fetches and sign-ins start there. */
  readonly base: string
  /** Milliseconds since the epoch, for the expiry of cookies. */
  readonly now?: () => number
  /** See SameSiteRules: by default Strict cookies stay hidden after a redirect through another site. */
  readonly sameSite?: SameSiteRules
  /** Headers on every request: User-Agent, Accept-Language. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  readonly cookies?: BrowserCookies
}

export interface VisitOptions {
  /** Address of the page whose link is clicked; absent: typed into the address bar. */
  readonly from?: string
  /** Follow redirects, refreshes and self-submitting forms; true by default. */
  readonly follow?: boolean
  /** Stop before asking for an address that this accepts; the redirect's own page is returned. */
  readonly stopBefore?: (url: URL) => boolean
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | URLSearchParams
  /** False: a script navigates without a click. */
  readonly activated?: boolean
}

export interface FetchOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | URLSearchParams
  /** Adds `X-CSRF: 1`; true by default. */
  readonly csrf?: boolean
  /** Address of the page whose script fetches; the application by default. No preflight is made: test the worst case. */
  readonly from?: string
  readonly mode?: Intent['mode']
  readonly dest?: Intent['dest']
  readonly prefetch?: boolean
  /** False by default: the redirect itself is the answer. */
  readonly follow?: boolean
  readonly signal?: AbortSignal
}

export interface SignInOptions {
  /** The sub of a user of the development provider. */
  readonly as: string
  readonly password?: string
  readonly returnTo?: string
  readonly provider?: string
  /** Path of the login endpoint. */
  readonly loginPath?: string
  readonly stopBefore?: (url: URL) => boolean
}

/** An answer whose body is still coming. */
export interface Stream {
  readonly status: number
  readonly rawHeaders: readonly string[]
  readonly chunks: AsyncIterator<Buffer>
  abort(): void
}
