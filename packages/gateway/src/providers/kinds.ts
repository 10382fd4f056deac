import { auth0 } from './auth0.ts'
import { cognito } from './cognito.ts'
import { entra } from './entra.ts'
import { google } from './google.ts'
import { keycloak } from './keycloak.ts'
import type { KindName, ProviderKind } from './kind.ts'
import { oidc } from './oidc.ts'
import { okta } from './okta.ts'
import { salesforce } from './salesforce.ts'

export const kinds: Readonly<Record<KindName, ProviderKind>> = {
  oidc,
  cognito,
  okta,
  salesforce,
  entra,
  keycloak,
  auth0,
  google,
}

export function kindOf({ kind }: { readonly kind: KindName }): ProviderKind {
  return kinds[kind]
}
