import type { JsonObject } from './json.ts'
import type { FederatedIdentity } from './record.ts'

/** More than anybody has; a claim is somebody else's text and makes index entries here. */
const most = 10

/** The identities behind a provider that only passes them on, as Cognito lists them in the ID token. */
export function federatedIdentities({ identities }: JsonObject): FederatedIdentity[] {
  if (!Array.isArray(identities)) return []
  return (identities as readonly unknown[]).slice(0, most).flatMap((one) => {
    const { providerName: provider, userId: sub } = (one ?? {}) as Record<string, unknown>
    return typeof provider === 'string' && typeof sub === 'string' && sub !== '' ? [{ provider, sub }] : []
  })
}
