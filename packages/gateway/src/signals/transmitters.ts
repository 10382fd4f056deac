import type { JWTVerifyGetKey } from 'jose'
import { type TransmitterConfig, transmittersOf } from '../config/signals-schema.ts'
import { createIssuerKeys } from '../oidc/issuer-keys.ts'
import { ProviderFault } from '../oidc/provider-fault.ts'
import type { Services } from '../services.ts'
import { createReach, type Reach } from './reach.ts'

/** Who sends us security events, by the configuration. */
export interface Transmitter {
  readonly config: TransmitterConfig
  readonly issuer: string
  readonly reach: Reach
  readonly keyOf: JWTVerifyGetKey
  /** Members of a complex subject without which an event must not be acted upon. @see SSF 1.0 §3.6 */
  criticalMembers(): Promise<readonly string[]>
  /** Where to ask for a verification event. */
  verificationEndpoint(): Promise<string>
}

type Parts = Pick<Services, 'config' | 'log' | 'now'>

export function createTransmitters(services: Parts): ReadonlyMap<string, Transmitter> {
  return new Map(
    transmittersOf(services.config.signals).map(
      ({ config }) => [config.transmitter, create(config, services)] as const,
    ),
  )
}

function create(config: TransmitterConfig, { config: all, log, now }: Parts): Transmitter {
  const issuer = config.transmitter
  const onStale = (err: unknown) =>
    log.warn({ event: 'provider_unavailable', transmitter: issuer, err }, 'an older configuration serves on')
  const keys = createIssuerKeys({ issuer, jwksUri: config.jwksUri, metadata: 'ssf-configuration' }, { now, onStale })
  const same = Object.keys(all.providers).find((name) => all.providers[name]?.issuer === issuer)
  const own = config.provider ?? same ?? all.defaultProvider
  return {
    config,
    issuer,
    reach: createReach(all, { own, issuer, reaches: config.reaches }),
    keyOf: keys.keyOf,
    async criticalMembers() {
      const { critical_subject_members: members } = await keys.describe()
      return Array.isArray(members) ? members : []
    },
    async verificationEndpoint() {
      const { verification_endpoint: url } = await keys.describe()
      // The token goes there: over TLS, unless the transmitter itself is on loopback.
      const allowed = issuer.startsWith('http://') ? /^https?:/ : /^https:/
      if (typeof url === 'string' && allowed.test(url)) return url
      throw new ProviderFault('its configuration names no usable verification_endpoint')
    },
  }
}
