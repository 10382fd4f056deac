import type { Services } from '../services.ts'
import type { SessionRecord } from '../session/record.ts'
import type { ProviderClient } from './provider-client.ts'

/**
 * The provider that a session came from; undefined where it is not configured any more. Its name may stand for another issuer
 * by now: that one must not be shown the tokens of the one before, and its users are others, though they have the same `sub`.
 */
export function providerOf(
  providers: Services['providers'],
  { provider, subject }: Pick<SessionRecord, 'provider' | 'subject'>,
): ProviderClient | undefined {
  const named = providers.get(provider)
  return named?.config.issuer === subject.iss ? named : undefined
}
