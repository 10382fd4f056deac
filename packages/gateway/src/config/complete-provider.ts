import { kindOf } from '../providers/kinds.ts'
import type { WrittenProvider } from './provider-schema.ts'

/** A provider with all that follows from its kind. rules.ts has seen to it that there is an issuer. */
export function completeProvider(written: WrittenProvider) {
  const kind = kindOf(written)
  const { issuer = kind.issuer?.(written) ?? '', scope = kind.scope, logout, authorizationParams } = written
  return {
    ...written,
    issuer,
    scope,
    authorizationParams: { ...kind.authorizationParams?.(written), ...authorizationParams },
    logout: { ...logout, idTokenHint: logout.idTokenHint ?? kind.logout.idTokenHint },
  }
}
