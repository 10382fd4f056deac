import type { ProviderClient, Refresh } from '../../../src/oidc/provider-client.ts'
import { ProviderFault } from '../../../src/oidc/provider-fault.ts'
import type { Tokens } from '../../../src/session/record.ts'

/** What providers do with a refresh token that is redeemed. */
export type Rotation = 'rotates' | 'rotates with grace' | 'keeps'

/** The refresh tokens of one sign-in at a provider, as RFC 9700 §4.14.2 describes it: reuse of a rotated one revokes all. */
export interface Grant {
  /** Every refresh token of it, oldest first. */
  readonly tokens: string[]
  current: string
  previous: string | undefined
  accessToken: string
  revoked: boolean
  /** An answer was lost, or its receiver crashed, with the only copy of a rotated token: nobody can be blamed for the end. */
  unlucky: boolean
}

/** A provider made of rules: the property needs thousands of refreshes in every order, which no real one would give. */
export class ModelProvider {
  readonly grants: Grant[] = []
  /** Every refresh token that was redeemed, in order. */
  readonly redemptions: string[] = []
  readonly rotation: Rotation
  down = false
  /** So many of the next answers are lost: the provider did its work. */
  losing = 0
  readonly #now: () => number
  #count = 0

  constructor(rotation: Rotation, now: () => number) {
    this.rotation = rotation
    this.#now = now
  }

  signIn(): { grant: Grant; tokens: Tokens } {
    const current = `refresh-${++this.#count}`
    const grant: Grant = {
      tokens: [current],
      current,
      previous: undefined,
      accessToken: `access-${this.#count}`,
      revoked: false,
      unlucky: false,
    }
    this.grants.push(grant)
    return { grant, tokens: this.#tokensOf(grant) }
  }

  /** Has it ended the grant, by its own rules, where nobody could have done better? A grace makes up for what was lost. */
  tookBack({ revoked, unlucky }: Grant): boolean {
    return revoked && unlucky && this.rotation === 'rotates'
  }

  /** What one gateway sees of it; `pause` holds a request on its way, and its answer. */
  client(pause: (what: string) => Promise<void>): ProviderClient {
    const refresh = async (tokens: Tokens): Promise<Refresh> => {
      await pause('refresh request')
      if (this.down) return unavailable('connection refused', 'ECONNREFUSED')
      const answer = this.#redeem(String(tokens.refreshToken))
      const lost = this.losing > 0
      if (lost) this.losing--
      await pause('refresh answer')
      if (!lost) return answer
      for (const grant of this.grants) if (grant.previous === tokens.refreshToken) grant.unlucky = true
      return unavailable('socket hang up')
    }
    return { name: 'model', config: { issuer: 'https://model.test' }, refresh } as unknown as ProviderClient
  }

  #redeem(token: string): Refresh {
    this.redemptions.push(token)
    const grant = this.grants.find((one) => one.current === token || one.previous === token)
    if (!grant || grant.revoked) return { kind: 'login-required', cause: 'invalid_grant' }
    if (token === grant.current) {
      this.#count++
      grant.accessToken = `access-${this.#count}`
      if (this.rotation !== 'keeps') {
        grant.previous = token
        grant.current = `refresh-${this.#count}`
        grant.tokens.push(grant.current)
      }
      return { kind: 'usable', tokens: this.#tokensOf(grant) }
    }
    if (this.rotation === 'rotates with grace') return { kind: 'usable', tokens: this.#tokensOf(grant) }
    grant.revoked = true
    return { kind: 'login-required', cause: 'invalid_grant' }
  }

  #tokensOf({ current, accessToken }: Grant): Tokens {
    const obtainedAt = this.#now()
    const accessTokenExpiresAt = obtainedAt + accessTokenLifetime
    return { accessToken, refreshToken: current, idToken: 'id', obtainedAt, accessTokenExpiresAt }
  }
}

/** Milliseconds. */
export const accessTokenLifetime = 5 * 60_000

function unavailable(message: string, code?: string): Refresh {
  return {
    kind: 'provider-unavailable',
    cause: new ProviderFault(message, { cause: Object.assign(new Error(), { code }) }),
  }
}
