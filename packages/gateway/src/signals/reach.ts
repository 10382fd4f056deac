import type { Config } from '../config/schema.ts'

/** Whose sessions somebody else's word can end. A session outside of it is not theirs to end, whatever they can prove. */
export interface Reach {
  /** The provider whose users it speaks of when it only says "user 7" or "session 7". */
  readonly own: ReachedProvider | undefined
  readonly providers: readonly ReachedProvider[]
  /** The issuer under which it names its users, besides that of its own provider. */
  readonly issuer: string
  /** Its name at the providers that stand between it and us. */
  readonly identityProvider: string | undefined
}

export interface ReachedProvider {
  readonly name: string
  readonly issuer: string
}

export function createReach(
  config: Pick<Config, 'providers'>,
  whose: {
    readonly own: string | undefined
    readonly issuer: string
    readonly reaches: 'own' | 'all' | readonly string[]
    readonly identityProvider?: string | undefined
  },
): Reach {
  const all = Object.entries(config.providers).map(([name, { issuer }]) => ({ name, issuer }))
  const { reaches } = whose
  const named = (name: string) => (reaches === 'own' ? name === whose.own : reaches === 'all' || reaches.includes(name))
  return {
    // A list that leaves it out leaves it out.
    own: all.find(({ name }) => name === whose.own && named(name)),
    providers: all.filter(({ name }) => named(name)),
    issuer: whose.issuer,
    identityProvider: whose.identityProvider,
  }
}

export function covers(reach: Reach, provider: string): boolean {
  return reach.providers.some(({ name }) => name === provider)
}
