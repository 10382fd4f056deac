/**
 * Requests that another site made the browser send. Three independent signs, all set by the browser: a custom header
 * (needs a CORS preflight, which the gateway never answers), Fetch Metadata, and Origin. The reason is for the log; the
 * other site learns only that it was refused.
 * @see OAuth 2.0 for Browser-Based Applications §6.1.3.3 · OWASP CSRF Prevention · W3C Fetch Metadata
 */

export interface CsrfFields {
  readonly csrf: string | undefined
  readonly origin: string | undefined
  readonly secFetchSite: string | undefined
}

/** Why a call by script is refused, or undefined when it is fine. `ownOrigin` as a browser writes it. */
export function csrfRefusal(head: CsrfFields, method: string, ownOrigin: string): string | undefined {
  if (head.csrf !== '1') return head.csrf === undefined ? 'X-CSRF is missing' : 'X-CSRF is not 1'
  if (head.origin !== undefined && head.origin !== ownOrigin) return originReason(head.origin)
  if (head.secFetchSite === undefined) {
    // An older browser: it sends Origin with every unsafe method. A safe one by the header alone is no forgery.
    if (head.origin === undefined && !isSafe(method)) return 'neither Sec-Fetch-Site nor Origin on an unsafe method'
    return undefined
  }
  if (head.secFetchSite === 'same-origin') return undefined
  // `none`: the person's own doing, such as a browser extension's or devtools' request; never an unsafe method.
  if (head.secFetchSite === 'none' && isSafe(method)) return undefined
  return siteReason(head.secFetchSite)
}

/**
 * Why a request to an application that knows no X-CSRF is refused, or undefined when it is fine: its pages, scripts, images
 * and forms come from its own origin, and only a page in the window may be opened from elsewhere, by a safe method.
 */
export function sameOriginRefusal(
  head: {
    readonly origin: string | undefined
    readonly secFetchSite: string | undefined
    readonly secFetchMode: string | undefined
    readonly secFetchDest: string | undefined
  },
  method: string,
  ownOrigin: string,
): string | undefined {
  if (head.origin !== undefined && head.origin !== ownOrigin) return originReason(head.origin)
  if (head.secFetchSite === 'same-origin') return undefined
  if (!isSafe(method)) {
    // An older browser sends Origin with every unsafe method; the other headers of the set say that it isn't one.
    const older = head.secFetchSite === undefined && head.secFetchMode === undefined && head.secFetchDest === undefined
    return older && head.origin === ownOrigin ? undefined : siteReason(head.secFetchSite)
  }
  if (head.secFetchSite === undefined || head.secFetchSite === 'none') return undefined
  return head.secFetchMode === 'navigate' && head.secFetchDest === 'document'
    ? undefined
    : siteReason(head.secFetchSite)
}

/** Why a POST by a plain HTML form (sign-out), which can't carry X-CSRF, is refused, or undefined when it is fine. */
export function formPostRefusal(
  head: {
    readonly origin: string | undefined
    readonly secFetchSite: string | undefined
    readonly secFetchMode: string | undefined
    readonly contentType: string | undefined
  },
  ownOrigin: string,
): string | undefined {
  if (head.origin !== undefined && head.origin !== ownOrigin) return originReason(head.origin)
  if (head.secFetchSite !== undefined || head.secFetchMode !== undefined) {
    if (head.secFetchSite !== 'same-origin') return siteReason(head.secFetchSite)
    return head.secFetchMode === 'navigate' ? undefined : 'a form post that is not a navigation'
  }
  if (head.origin === undefined) return 'a form post with neither Sec-Fetch-Site nor Origin'
  return isFormType(head.contentType) ? undefined : 'a form post without a form content type'
}

/**
 * Why an event stream, which EventSource opens without any header of ours, is refused. It changes nothing, and another site
 * could not read it; but each one that a page elsewhere opens would hold a connection of the user's.
 */
export function eventSourceRefusal(
  head: {
    readonly origin: string | undefined
    readonly secFetchSite: string | undefined
    readonly accept: string | undefined
  },
  ownOrigin: string,
): string | undefined {
  if (head.origin !== undefined && head.origin !== ownOrigin) return originReason(head.origin)
  if (head.secFetchSite !== undefined) {
    return head.secFetchSite === 'same-origin' ? undefined : siteReason(head.secFetchSite)
  }
  // An older browser: EventSource elsewhere would send Origin, and what sends none there (an image, a script) asks for
  // something else.
  const asked = head.accept?.toLowerCase().includes('text/event-stream') === true
  return asked ? undefined : 'neither Sec-Fetch-Site nor an Accept of text/event-stream'
}

/** Why a WebSocket handshake is refused by its origin. `allowed`: origins as browsers write them, or `none` for no Origin. */
export function handshakeOriginRefusal(
  { origin }: Pick<CsrfFields, 'origin'>,
  allowed: readonly string[],
): string | undefined {
  if (origin === undefined) return allowed.includes('none') ? undefined : 'a handshake without Origin'
  return origin !== 'none' && allowed.includes(origin) ? undefined : originReason(origin)
}

/** RFC 9110 §9.2.1, without TRACE, which the gateway never serves. */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

function isFormType(contentType: string | undefined): boolean {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  return type === 'application/x-www-form-urlencoded' || type === 'multipart/form-data' || type === 'text/plain'
}

/** `null` comes from sandboxed frames, data: documents and redirects across origins: nobody's origin, so not ours. */
function originReason(origin: string): string {
  return origin === 'null' ? 'Origin is null' : 'Origin is foreign'
}

function siteReason(site: string | undefined): string {
  if (site === 'cross-site' || site === 'same-site' || site === 'none') return `Sec-Fetch-Site is ${site}`
  return site === undefined ? 'Sec-Fetch-Site is missing' : 'Sec-Fetch-Site is unknown'
}
