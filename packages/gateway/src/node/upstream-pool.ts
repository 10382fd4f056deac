import type { PoolSettings } from '../decision.ts'
import { checkHealth } from './health-check.ts'
import { Address, type AddressOptions } from './upstream-address.ts'

/** The addresses of one upstream. Nothing binds a client to one of them. */
export class UpstreamPool {
  readonly #addresses: readonly Address[]
  readonly #stopChecks: () => void
  #next = 0

  constructor(settings: PoolSettings, around: Pick<AddressOptions, 'client' | 'report'>) {
    const replaceable = settings.addresses.length > 1
    this.#addresses = settings.addresses.map((origin) => new Address(origin, { ...around, settings, replaceable }))
    const { health } = settings
    const stops = health === undefined ? [] : this.#addresses.map((address) => checkHealth(address, health))
    this.#stopChecks = () => {
      for (const stop of stops) stop()
    }
  }

  /** The least busy of those that work, in turn where they are alike. Undefined if none does, or only `except`. */
  pick(except?: Address): Address | undefined {
    const addresses = this.#addresses
    let best: Address | undefined
    this.#next = (this.#next + 1) % addresses.length
    for (let i = 0; i < addresses.length; i++) {
      const address = addresses[(this.#next + i) % addresses.length] as Address
      if (address === except || address.pause > 0) continue
      if (best === undefined || address.outstanding < best.outstanding) best = address
    }
    return best
  }

  /** Requests under way. */
  get outstanding(): number {
    return this.#addresses.reduce((sum, { outstanding }) => sum + outstanding, 0)
  }

  /** Seconds after which another try is worth it. */
  get retryAfter(): number {
    return Math.max(1, Math.ceil(Math.min(...this.#addresses.map(({ pause }) => pause)) / 1000))
  }

  async close(): Promise<void> {
    this.#stopChecks()
    await Promise.all(this.#addresses.map((address) => address.close()))
  }
}
