import type { SameSiteContext } from './cookie-jar.ts'
import { sameOrigin, sameSite } from './sites.ts'

/** What a browser is about to ask for, and who caused it. */
export interface Intent {
  readonly url: URL
  readonly method: string
  readonly mode: 'navigate' | 'cors' | 'no-cors' | 'same-origin'
  readonly dest: 'document' | 'iframe' | 'empty' | 'image' | 'script' | 'style'
  /** Address of the page that caused the request; undefined: the user, by the address bar or a bookmark. */
  readonly from: string | undefined
  /** A click or a key press stands behind it (Sec-Fetch-User). */
  readonly activated: boolean
  readonly prefetch: boolean
  /** The addresses that redirected here, oldest first. */
  readonly chain: readonly URL[]
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
}

const accepts: Record<Intent['dest'], string> = {
  document:
    'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7',
  iframe:
    'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7',
  image: 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8',
  style: 'text/css,*/*;q=0.1',
  script: '*/*',
  empty: '*/*',
}

const safe = (method: string) => method === 'GET' || method === 'HEAD'
const topLevel = (intent: Intent) => intent.mode === 'navigate' && intent.dest === 'document'

/** The headers that Chromium adds on its own accord; measured with Chromium 156. Names in lower case. */
export function browserHeaders(intent: Intent): Record<string, string> {
  const { url, method, from, mode, dest } = intent
  const navigation = mode === 'navigate'
  const origin = originHeader(intent)
  const referer = from === undefined ? undefined : sameOrigin(from, url) ? from : `${new URL(from).origin}/`
  return {
    ...(navigation && !safe(method) ? { 'cache-control': 'max-age=0' } : {}),
    ...(navigation ? { 'upgrade-insecure-requests': '1' } : {}),
    'user-agent':
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
    accept: accepts[dest],
    ...(origin === undefined ? {} : { origin }),
    'sec-fetch-site': secFetchSite(intent),
    'sec-fetch-mode': mode,
    ...(navigation && intent.activated ? { 'sec-fetch-user': '?1' } : {}),
    'sec-fetch-dest': dest,
    ...(intent.prefetch ? { 'sec-purpose': 'prefetch' } : {}),
    ...(referer === undefined ? {} : { referer }),
    'accept-encoding': 'gzip, deflate, br',
    'accept-language': 'en-GB,en;q=0.9',
  }
}

/** Worst relation of any address of the redirect chain to the page that began. @see Fetch Metadata §2.3 */
function secFetchSite({ url, from, chain }: Intent): string {
  if (from === undefined) return 'none'
  const urls = [...chain, url]
  if (urls.every((one) => sameOrigin(one, from))) return 'same-origin'
  return urls.every((one) => sameSite(one, from)) ? 'same-site' : 'cross-site'
}

/** @see Fetch §3.2, with "null" once a redirect that keeps the method has passed through a third origin */
function originHeader({ url, method, from, mode, chain }: Intent): string | undefined {
  if (from === undefined) return undefined
  const needed = mode === 'cors' ? !safe(method) || !sameOrigin(from, url) : !safe(method)
  if (!needed) return undefined
  const last = chain.at(-1)
  return last && !sameOrigin(last, url) ? 'null' : new URL(from).origin
}

export interface SameSiteRules {
  /**
   * Whether Strict cookies are hidden when a redirect came through another site. Chromium 156 shows them; the text of
   * RFC 6265bis hides them, and what works without them works with them.
   */
  readonly redirectsCount: boolean
}

/** Which SameSite cookies may go with the request. @see RFC 6265bis §5.2 */
export function sameSiteOf(intent: Intent, rules: SameSiteRules): SameSiteContext {
  const { url, from, chain, method } = intent
  const own = from === undefined || sameSite(from, url)
  const straight = !rules.redirectsCount || chain.every((one) => sameSite(one, url))
  if (own && straight) return 'strict'
  return topLevel(intent) && safe(method) ? 'lax' : 'none'
}

/** Which SameSite cookies the answer may set: a navigation of the window may set all. */
export function sameSiteOfAnswer(intent: Intent): SameSiteContext {
  if (topLevel(intent) || intent.from === undefined || sameSite(intent.from, intent.url)) return 'strict'
  return 'none'
}

export function isUnsafeNavigation(intent: Intent): boolean {
  return topLevel(intent) && !safe(intent.method)
}
