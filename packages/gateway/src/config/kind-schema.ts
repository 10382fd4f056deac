import { z } from 'zod'
import { origin, serverUrl } from './addresses.ts'
import { filled, serverName } from './texts.ts'

/** The settings that only some kinds of providers have. Which kind has which, and needs which: providers/, kind-rules.ts. */
export function kindSettings() {
  return {
    userPoolId: z
      .string({ error: poolExpected })
      .regex(/^[a-z]{2}(?:-[a-z]+)+-\d+_[A-Za-z0-9]+$/, { error: poolExpected })
      .meta({ title: 'user pool id' })
      .optional()
      .describe('`cognito`: the id of the user pool, such as `eu-west-1_AbCdEf123`. The region is part of it.'),
    domain: origin('https://login.example.com')
      .optional()
      .describe(
        "`cognito`: the user pool's domain, where its sign-in pages and OAuth endpoints are: `https://login.example.com` or `https://NAME.auth.REGION.amazoncognito.com`.",
      ),
    apiEndpoint: serverUrl()
      .optional()
      .describe(
        "`cognito`: where the user pool's API is, instead of `https://cognito-idp.REGION.amazonaws.com/`. For passwords, attributes and sign-out everywhere.",
      ),
    identityProvider: behind()
      .optional()
      .describe(
        "`cognito`: send users straight to this identity provider of the user pool, past the pool's own page. `{ identifier: … }` sends `idp_identifier` instead of `identity_provider`.",
      ),
    identityProviders: z
      .array(behind())
      .min(1, { error: 'name at least one, or remove the key' })
      .optional()
      .describe('`cognito`: the identity providers that `/auth/login?idp=` may name; any other is refused.'),
    homeRealms: z
      .record(realm(), behind())
      .refine((realms) => Object.keys(realms).length > 0, { error: 'map at least one domain, or remove the key' })
      .optional()
      .describe(
        "`cognito`: identity providers by the domain of the user's e-mail address, as in `{ example.com: Okta }`. `/auth/login` then asks for the address, unless `idp=` or `login_hint=` is given; other domains get the pool's own page.",
      ),
    tenant: z
      .string({ error: tenantExpected })
      .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, { error: tenantExpected })
      .meta({ title: 'tenant id' })
      .optional()
      .describe('`entra`: the id of the tenant, from which the issuer follows.'),
    hostedDomain: serverName()
      .optional()
      .describe("`google`: let in only the accounts of this organization (`hd`); the ID token's `hd` is checked."),
    audience: filled('audience')
      .optional()
      .describe('`auth0`: the identifier of the API for which access tokens are; without it they are opaque.'),
  }
}

const poolExpected = 'write the id of the user pool, such as eu-west-1_AbCdEf123'
const tenantExpected =
  'write the id of the tenant: a GUID in small letters, not its domain, and not common, organizations or consumers'

function behind() {
  const error = 'write the name of an identity provider of the user pool, or { identifier: … }'
  return z.union(
    [filled('name'), z.strictObject({ identifier: filled('identifier').describe('Sent as `idp_identifier`.') })],
    { error },
  )
}

/** The part of an e-mail address after the @, as it is compared. */
export function realm() {
  const expected = 'write the domain of e-mail addresses in small letters, such as example.com'
  return z
    .string()
    .regex(/^(?=.*[a-z])[a-z0-9-]+(?:\.[a-z0-9-]+)+$/, { error: expected })
    .meta({ title: 'domain' })
}
