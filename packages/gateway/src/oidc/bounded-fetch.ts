import { ProviderFault } from './provider-fault.ts'
import { type FetchLimits, type Send, sendUsually } from './send.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/**
 * A fetch that a slow or huge answer can not hold: it rejects with a `ProviderFault`, and follows no redirect (a redirect
 * of the token endpoint would carry the client's secret elsewhere). A signal of the caller's ends it sooner.
 */
export function createBoundedFetch(limits: FetchLimits, send: Send = sendUsually): Fetch {
  return async (url, init) => {
    try {
      return await send(url, init, limits)
    } catch (cause) {
      if (cause instanceof ProviderFault) throw cause
      throw new ProviderFault(`no usable answer from ${new URL(url).origin}`, { cause })
    }
  }
}
