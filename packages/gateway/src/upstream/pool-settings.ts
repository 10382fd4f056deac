import type { RouteConfig } from '../config/schema.ts'
import { readText } from '../config/surroundings.ts'
import type { PoolSettings } from '../decision.ts'

type ReadFile = (path: string) => string

/** As configured: paths of files. */
export type UpstreamTls = NonNullable<RouteConfig['tls']>

/**
 * How a route's upstream is reached. Undefined for the plainest: one address, and nothing said about it.
 * @throws Error when a TLS file can't be read
 */
export function poolSettingsOf(route: RouteConfig, readFile: ReadFile = readText): PoolSettings | undefined {
  const { addresses, connections, maxWaiting, timeouts, health, tls } = route
  const plain = [connections, maxWaiting, timeouts, health, tls].every((setting) => setting === undefined)
  if (addresses.length === 0 || (plain && addresses.length === 1)) return undefined
  return {
    addresses,
    ...(connections !== undefined && { connections }),
    ...(maxWaiting !== undefined && { maxWaiting }),
    ...(timeouts !== undefined && { connectTimeout: timeouts.connect }),
    ...(health !== undefined && { health }),
    ...(tls !== undefined && { tls: readUpstreamTls(tls, readFile) }),
  }
}

/** The texts of the files. */
export function readUpstreamTls(
  tls: UpstreamTls | undefined,
  readFile: ReadFile = readText,
): NonNullable<PoolSettings['tls']> {
  if (tls === undefined) return {}
  const { ca, cert, key, servername } = tls
  return {
    ...(ca !== undefined && { ca: readFile(ca) }),
    ...(cert !== undefined && { cert: readFile(cert) }),
    ...(key !== undefined && { key: readFile(key) }),
    ...(servername !== undefined && { servername }),
  }
}
