import * as oauth from 'oauth4webapi'
import type { Fetch } from './bounded-fetch.ts'
import { createKeptDocument, type KeptDocument } from './kept-document.ts'

/** The discovery document; throws `ProviderFault` while it was never read and can't be read now. */
export type ProviderMetadata = KeptDocument<oauth.AuthorizationServer>

/**
 * Discovery, read when first needed and kept. One request at a time, however many sign-ins wait.
 * The issuer in the document must be the configured one, byte for byte. @see OpenID Connect Discovery §4.3
 */
export function createProviderMetadata(
  issuer: string,
  options: { fetch: Fetch; allowHttp: boolean; now: () => number; onStale: (fault: unknown) => void },
): ProviderMetadata {
  const server = new URL(issuer)

  async function read(): Promise<oauth.AuthorizationServer> {
    const response = await oauth.discoveryRequest(server, {
      algorithm: 'oidc',
      [oauth.customFetch]: options.fetch as never,
      [oauth.allowInsecureRequests]: options.allowHttp,
    })
    const document = await oauth.processDiscoveryResponse(server, response)
    // The library compares them as URLs, to which `https://idp` and `https://IDP/` are the same.
    if (document.issuer !== issuer) throw new Error(`it names another issuer: ${document.issuer}`)
    return document
  }

  return createKeptDocument(`the discovery document of ${issuer}`, read, options)
}
