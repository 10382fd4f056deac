import { createSecureContext } from 'node:tls'
import { createServices, type ServiceParts } from './compose.ts'
import type { Config } from './config/schema.ts'
import type { PoolSettings } from './decision.ts'
import { createGuard, type Guard } from './guard.ts'
import type { TlsTexts } from './node/server.ts'
import { errorResponse } from './protocol/problem.ts'
import { transport } from './protocol/security-headers.ts'
import type { Services } from './services.ts'
import { addHeaders, withStrictTransport } from './strict-transport.ts'
import { poolSettingsOf } from './upstream/pool-settings.ts'

/** All that is made of one configuration. A reload makes the next one; requests under way keep theirs. */
export interface Generation {
  readonly config: Config
  readonly services: Services
  readonly guard: Guard
  /** The answer to what the carrier itself refuses, counted. */
  readonly failure: typeof errorResponse
  readonly upstreams: readonly (PoolSettings | string)[]
  readonly tls: TlsTexts | undefined
}

/** @throws Error when a file that it names can't be used */
export function createGeneration(parts: ServiceParts & { readonly ticketKeys?: Buffer | undefined }): Generation {
  const { config, readFile, metrics, ticketKeys } = parts
  const services = createServices(parts)
  const origin = new URL(config.origin)
  const strict = transport({ https: origin.protocol === 'https:', host: origin.host })
  const files = config.listen.tls
  const tls = files && { cert: readFile(files.cert), key: readFile(files.key), ticketKeys }
  // A certificate that OpenSSL will not serve is found out here, and not when half of the rest has changed.
  if (tls) createSecureContext({ cert: tls.cert, key: tls.key })
  return {
    config,
    services,
    guard: withStrictTransport(createGuard(services), strict),
    failure(code, how) {
      metrics.tally.refusals[code]++
      return addHeaders(errorResponse(code, how), strict)
    },
    upstreams: config.routes.flatMap((route) => poolSettingsOf(route, readFile) ?? route.upstream ?? []),
    tls,
  }
}
