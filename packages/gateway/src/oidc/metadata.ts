import * as oauth from 'oauth4webapi'
import { type Fetch, ProviderFault } from './bounded-fetch.ts'

export interface ProviderMetadata {
  /** The discovery document; throws `ProviderFault` while it was never read and can't be read now. */
  get(): Promise<oauth.AuthorizationServer>
}

/** Read again after this long; an older copy serves on while the provider is down. */
const freshFor = 15 * 60_000
/** After a failure the provider is left alone for this long (by the machine's own clock: it spares a real server). */
const retryAfter = 1_000

/**
 * Discovery, read when first needed and kept. One request at a time, however many sign-ins wait.
 * The issuer in the document must be the configured one, byte for byte. @see OpenID Connect Discovery §4.3
 */
export function createProviderMetadata(
  issuer: string,
  options: { fetch: Fetch; allowHttp: boolean; now: () => number; onStale: (fault: unknown) => void },
): ProviderMetadata {
  let known: oauth.AuthorizationServer | undefined
  let readAt = 0
  let failure: unknown
  let failedAt = Number.NEGATIVE_INFINITY
  let reading: Promise<oauth.AuthorizationServer> | undefined

  async function read(): Promise<oauth.AuthorizationServer> {
    const server = new URL(issuer)
    try {
      const response = await oauth.discoveryRequest(server, {
        algorithm: 'oidc',
        [oauth.customFetch]: options.fetch as never,
        [oauth.allowInsecureRequests]: options.allowHttp,
      })
      const document = await oauth.processDiscoveryResponse(server, response)
      // The library compares them as URLs, to which `https://idp` and `https://IDP/` are the same.
      if (document.issuer !== issuer) throw new Error(`it names another issuer: ${document.issuer}`)
      known = document
      readAt = options.now()
      return known
    } catch (cause) {
      failure = cause
      failedAt = performance.now()
      throw new ProviderFault(`the discovery document of ${issuer} can not be used`, { cause })
    } finally {
      reading = undefined
    }
  }

  return {
    async get() {
      const at = options.now()
      if (known && at - readAt < freshFor) return known
      if (reading === undefined && performance.now() - failedAt < retryAfter) {
        if (known) return known
        throw new ProviderFault(`the discovery document of ${issuer} could not be read a moment ago`, {
          cause: failure,
        })
      }
      reading ??= read()
      if (known === undefined) return await reading
      // What is known serves on; a slow or dead provider holds nobody up.
      reading.catch(options.onStale)
      return known
    },
  }
}
