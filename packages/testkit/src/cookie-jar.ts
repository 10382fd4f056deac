import { Cookie, CookieJar } from 'tough-cookie'

/** How a request relates to the site that it goes to: which SameSite cookies may travel. */
export type SameSiteContext = 'strict' | 'lax' | 'none'

/** For so long Chromium sends a cookie without SameSite attribute even with a cross-site form POST. */
const laxAllowUnsafe = 2 * 60_000

/** The largest name and value together that browsers keep. */
const maxCookie = 4096

/**
 * The cookies of one browser. tough-cookie knows the rules of RFC 6265; what Chromium does beyond them is added here:
 * Lax by default, None only with Secure, `__Host-Http-` only with HttpOnly, size limits, and a clock of our own.
 */
export class BrowserCookies {
  readonly #jar: CookieJar
  readonly #now: () => number

  constructor(now: () => number, jar = new CookieJar(undefined, { prefixSecurity: 'silent' })) {
    this.#now = now
    this.#jar = jar
  }

  /** A second jar with the same content, as a thief would have it. */
  copy(): BrowserCookies {
    return new BrowserCookies(this.#now, this.#jar.cloneSync())
  }

  /** Takes the Set-Cookie lines of an answer; silently drops what a browser would refuse. */
  store(lines: readonly string[], url: URL, context: SameSiteContext): void {
    for (const line of lines) {
      const cookie = Cookie.parse(line)
      if (!cookie || !acceptable(cookie)) continue
      // Max-Age becomes a date of our own clock, which is the one that tests move.
      if (typeof cookie.maxAge === 'number') {
        cookie.expires = new Date(cookie.maxAge <= 0 ? 0 : this.#now() + cookie.maxAge * 1000)
        cookie.maxAge = null
      }
      const now = new Date(this.#now())
      this.#jar.setCookieSync(cookie, url, { sameSiteContext: context, ignoreError: true, now })
    }
  }

  /**
   * The Cookie header for a request, or undefined.
   * @param unsafeNavigation a cross-site form POST in the window: Chromium's Lax-by-default exception applies.
   */
  header(url: URL, context: SameSiteContext, unsafeNavigation: boolean): string | undefined {
    const cookies = this.for(url).filter((cookie) => this.#travels(cookie, context, unsafeNavigation))
    return cookies.length === 0 ? undefined : cookies.map((cookie) => cookie.cookieString()).join('; ')
  }

  /** Every live cookie that belongs to the address, whatever its SameSite. */
  for(url: URL): Cookie[] {
    return this.#jar.getCookiesSync(url, { expire: false }).filter((cookie) => this.#live(cookie))
  }

  /** Every live cookie in the jar. */
  all(): Cookie[] {
    const serialized = this.#jar.serializeSync()?.cookies ?? []
    return serialized.flatMap((one) => Cookie.fromJSON(one) ?? []).filter((cookie) => this.#live(cookie))
  }

  /** What `Clear-Site-Data: "cookies"` does: the cookies of the host go, of any path. */
  clear(url: URL): void {
    const expired = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT'
    const cookies = this.#jar.getCookiesSync(url, { expire: false, allPaths: true })
    for (const { key, path, secure, httpOnly } of cookies) {
      const flags = `${secure ? '; Secure' : ''}${httpOnly ? '; HttpOnly' : ''}`
      this.#jar.setCookieSync(`${key}=; Path=${path ?? '/'}; ${expired}${flags}`, url, { ignoreError: true })
    }
  }

  #live(cookie: Cookie): boolean {
    return !(cookie.expires instanceof Date) || cookie.expires.getTime() > this.#now()
  }

  #travels(cookie: Cookie, context: SameSiteContext, unsafeNavigation: boolean): boolean {
    if (context === 'strict' || cookie.sameSite === 'none') return true
    if (cookie.sameSite === 'strict') return false
    if (context === 'lax') return true
    const age = cookie.creation instanceof Date ? this.#now() - cookie.creation.getTime() : Number.POSITIVE_INFINITY
    return cookie.sameSite === undefined && unsafeNavigation && age < laxAllowUnsafe
  }
}

function acceptable(cookie: Cookie): boolean {
  if (cookie.key.length + cookie.value.length > maxCookie) return false
  if (cookie.sameSite === 'none' && !cookie.secure) return false
  const httpPrefix = /^__(Host-)?Http-/i.test(cookie.key)
  return !httpPrefix || (cookie.secure && cookie.httpOnly)
}
