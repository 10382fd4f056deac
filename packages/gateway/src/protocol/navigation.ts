/**
 * What the browser is doing: opening a page, calling an API, or fetching ahead. Only the first may be redirected to a
 * sign-in; images, frames and prefetches that start sign-ins pile up login cookies (nextjs-auth0 #1917) and let another
 * site start one unseen.
 * @see W3C Fetch Metadata §2
 */

export interface NavigationFields {
  readonly secFetchSite: string | undefined
  readonly secFetchMode: string | undefined
  readonly secFetchDest: string | undefined
  readonly accept: string | undefined
}

/** A page being opened, in a window or a frame. */
export function isNavigation(head: NavigationFields): boolean {
  return head.secFetchMode === undefined ? acceptsHtml(head.accept) : head.secFetchMode === 'navigate'
}

/**
 * A page being opened in the window itself: not in iframe, frame, embed or object. Without Fetch Metadata an image or
 * script gives itself away by its Accept; a bare one (or none, or a star) is a tool that asked for a page.
 */
export function isTopLevelNavigation(head: NavigationFields): boolean {
  if (hasFetchMetadata(head)) return head.secFetchMode === 'navigate' && head.secFetchDest === 'document'
  return head.accept === undefined || head.accept === '*/*' || acceptsHtml(head.accept)
}

/** An image, script or frame that a page of another site has loaded, as often as it likes and by whoever looks at it. */
export function isForeignSubresource({ secFetchSite, secFetchMode, secFetchDest }: NavigationFields): boolean {
  if (secFetchSite !== 'cross-site' && secFetchSite !== 'same-site') return false
  return secFetchMode !== 'navigate' || secFetchDest !== 'document'
}

/** Fetched or rendered ahead of a click that may never come: Sec-Purpose, or the older Purpose, X-Moz, X-Purpose. */
export function isPrefetch(head: { readonly secPurpose: string | undefined }): boolean {
  return head.secPurpose !== undefined && /prefetch|prerender|preview/i.test(head.secPurpose)
}

/** One header of the three suffices: half a set is a forgery or a stripping proxy, and then proves nothing. */
function hasFetchMetadata(head: NavigationFields): boolean {
  return head.secFetchMode !== undefined || head.secFetchSite !== undefined || head.secFetchDest !== undefined
}

function acceptsHtml(accept: string | undefined): boolean {
  return accept?.toLowerCase().includes('text/html') === true
}
