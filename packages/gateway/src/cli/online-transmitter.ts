import type { Config } from '../config/schema.ts'
import { transmittersOf } from '../config/signals-schema.ts'
import { transmitterConfigurationUrl } from '../oidc/issuer-keys.ts'
import { isJsonObject } from '../protocol/strict-json.ts'
import { fetchJson } from './fetch-json.ts'
import type { Finding } from './online.ts'

/** Reads the configuration of each Shared Signals transmitter, where it tells where the keys are. */
export function askTransmitters({ signals }: Config, timeout: number): Promise<Finding[]>[] {
  return transmittersOf(signals)
    .filter(({ config }) => config.jwksUri === undefined)
    .map(async ({ at, config: { transmitter: issuer } }) => {
      const path = [...at, 'transmitter']
      const url = transmitterConfigurationUrl(issuer)
      const document = await fetchJson(url, timeout)
      if ('failed' in document) return [{ path, message: `${url} ${document.failed}` }]
      if (!isJsonObject(document.json)) return [{ path, message: `${url} is not a transmitter's configuration` }]
      const { issuer: named, jwks_uri: keys } = document.json
      if (named !== issuer) {
        const message = `the transmitter says that its issuer is ${JSON.stringify(named)?.slice(0, 200)}; write exactly that`
        return [{ path, message }]
      }
      if (typeof keys === 'string') return []
      return [{ path: [...at, 'jwksUri'], message: 'the transmitter names no jwks_uri; write it here' }]
    })
}
