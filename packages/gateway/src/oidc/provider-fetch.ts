import { readFileSync } from 'node:fs'
import { Agent, fetch as undiciFetch } from 'undici'
import type { ProviderConfig } from '../config/schema.ts'
import type { Fetch } from './bounded-fetch.ts'

/**
 * The way to a provider: Node's own fetch, or one that shows the client's certificate and trusts the provider's own
 * authorities. Files are read now, so that a broken one stops the start instead of a sign-in.
 * @throws Error when a file can't be read
 */
export function createProviderFetch({
  ca,
  clientCertificate,
}: Pick<ProviderConfig, 'ca' | 'clientCertificate'>): Fetch {
  if (ca === undefined && clientCertificate === undefined) return fetch
  const connect = {
    ...(ca !== undefined && { ca: readFileSync(ca) }),
    ...(clientCertificate && { cert: readFileSync(clientCertificate.cert), key: readFileSync(clientCertificate.key) }),
  }
  const dispatcher = new Agent({ connect })
  // undici's own fetch goes with its agents; Node's has another version of undici inside.
  return async (url, init) => (await undiciFetch(url, { ...(init as object), dispatcher })) as unknown as Response
}
