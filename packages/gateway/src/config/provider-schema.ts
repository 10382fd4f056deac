import { z } from 'zod'
import { kindNames, usualScope } from '../providers/kind.ts'
import { issuer, origin } from './addresses.ts'
import type { ClientKey } from './client-key.ts'
import { identityPoolSchema } from './identity-pool-schema.ts'
import { kindSettings } from './kind-schema.ts'
import { secret } from './secret.ts'
import { settle } from './settle.ts'
import { nowhere, type Surroundings } from './surroundings.ts'
import { filled, scope } from './texts.ts'

/** Parameters of the authorization request that carry its security; the gateway sets them for each sign-in. */
const ownParameters: ReadonlySet<string> = new Set(
  'client_id client_secret code_challenge code_challenge_method nonce redirect_uri request request_uri response_type scope state'.split(
    ' ',
  ),
)

/** How the provider may answer. @see OAuth 2.0 Form Post Response Mode · JARM §2.3 */
const responseModes = ['query', 'form_post', 'jwt', 'query.jwt', 'form_post.jwt']

const authorizationParams = z
  .record(z.string(), z.string({ error: 'write text; put numbers in quotes' }))
  .superRefine((parameters, ctx) => {
    for (const [name, value] of Object.entries(parameters)) {
      const message = ownParameters.has(name)
        ? `the gateway sets ${name} itself${name === 'scope' ? ' (from scope of this provider)' : ''}; remove it`
        : name === 'response_mode' && !responseModes.includes(value)
          ? `write ${responseModes.slice(0, -1).join(', ')} or ${responseModes.at(-1)}: a fragment never reaches the gateway`
          : undefined
      if (message !== undefined) ctx.addIssue({ code: 'custom', message, path: [name] })
    }
  })

const use = z.enum(['auto', 'always', 'never'])

function clientKey(around: Surroundings) {
  return z
    .strictObject({
      file: filled('file').describe(
        'Instead of a secret: the private key (PEM, without passphrase; on P-256, RSA or Ed25519) with which the client signs an assertion for each request (`private_key_jwt`, RFC 7523).',
      ),
      kid: filled('key id').optional().describe('Names the key to the provider, where it has several of the client.'),
      algorithm: z
        .enum(['PS256', 'RS256'])
        .optional()
        .describe(
          'Of an RSA key; `PS256` by default. `RS256` only where the provider knows nothing better. Other keys have one algorithm: ES256, ES384, ES512 or EdDSA.',
        ),
    })
    .transform(({ file, algorithm, kid }, ctx): ClientKey => {
      const found = settle(around.clientKey(file), around, ctx)
      if (!found) return z.NEVER
      if (algorithm !== undefined && found.algorithm !== 'PS256') {
        const message = `is for RSA keys; this key signs with ${found.algorithm}, so remove it`
        ctx.addIssue({ code: 'custom', message, path: ['algorithm'] })
      }
      return { key: found.key, algorithm: algorithm ?? found.algorithm, ...(kid !== undefined && { kid }) }
    })
}

export function createProviderSchema(around: Surroundings) {
  return z.strictObject({
    kind: z
      .enum(kindNames)
      .default('oidc')
      .describe('Which family the provider belongs to: what differs is known, see docs/providers.md.'),
    issuer: issuer()
      .optional()
      .describe(
        'The issuer, letter for letter as the provider publishes it. Plain http only on localhost, 127.0.0.1 and [::1]. Where `kind` is `cognito` or `google`, or `tenant` is given, it follows from that.',
      ),
    ...kindSettings(),
    identityPool: identityPoolSchema()
      .optional()
      .describe('The Amazon Cognito identity pool where users of this provider get AWS credentials: see docs/aws.md.'),
    groupsApi: z
      .strictObject({
        token: secret(around)
          .optional()
          .describe(
            "An API token of Okta that may read users and their groups. Without it, the user's access token is shown: `scope` then needs `okta.users.read`, and the issuer is that of the organization.",
          ),
        endpoint: origin('https://example.okta.com')
          .optional()
          .describe("Where the API is, if not at the issuer's host."),
      })
      .optional()
      .describe(
        '`okta`: ask the API for all groups of a user where the claim has none, or so many (100) that it may have been cut. `{}` or `{ token: … }`. See docs/users.md.',
      ),
    clientId: filled('client id').describe('The client that the provider registered for this application.'),
    clientSecret: secret(around)
      .optional()
      .describe(
        "The client's secret. Exactly one of `clientSecret`, `clientKey` and `clientCertificate`; at `cognito` there may be none, if the app client is a public one.",
      ),
    clientAuth: z
      .enum(['client_secret_basic', 'client_secret_post'])
      .optional()
      .describe(
        'How `clientSecret` is sent: in the Authorization header (`client_secret_basic`, the default), or in the form.',
      ),
    clientKey: clientKey(around).optional().describe('A private key instead of a secret.'),
    clientCertificate: z
      .strictObject({
        cert: filled('file').describe(
          'Instead of a secret: the certificate (chain, PEM) that the client shows in the TLS handshake (`tls_client_auth` and `self_signed_tls_client_auth`, RFC 8705).',
        ),
        key: filled('file').describe('Its private key in PEM form, without passphrase.'),
      })
      .transform((files, ctx) => settle(around.tls(files), around, ctx))
      .optional()
      .describe('A certificate instead of a secret.'),
    ca: filled('file')
      .transform((path, ctx) => settle(around.authorities(path), around, ctx))
      .optional()
      .describe(
        "The certificates (PEM) of the authorities that sign the provider's TLS certificate, instead of the public ones.",
      ),
    profile: z
      .enum(['fapi2'])
      .optional()
      .describe(
        '`fapi2`: the FAPI 2.0 Security Profile, with no half measures. Every authorization request is pushed, the client proves itself by `clientKey` or `clientCertificate`, tokens are bound to a key of the gateway (DPoP, or the certificate), the callback must name its issuer, and only PS256, ES256 and EdDSA sign ID tokens.',
      ),
    par: use
      .optional()
      .describe(
        'Pushed authorization requests (RFC 9126): the request goes to the provider directly, and the browser carries only a reference to it. `auto` (the default): where discovery names the endpoint. `always`: no sign-in without. `never`.',
      ),
    dpop: use
      .optional()
      .describe(
        'Tokens bound to a key of the session (DPoP, RFC 9449), so that a stolen one is worth nothing: an upstream then gets `Authorization: DPoP` and a proof for each request, **and has to understand them**. `never` (the default). `auto`: where discovery lists ES256 for DPoP. `always`: answers with unbound tokens are refused.',
      ),
    scope: scope()
      .optional()
      .meta({ usual: usualScope })
      .describe(
        'What is asked for, with spaces between. Add `offline_access` where the provider gives refresh tokens only for it (of `entra` it is part of the default).',
      ),
    authorizationParams: authorizationParams
      .default({})
      .describe(
        'Further parameters of the authorization request, such as `audience` or `prompt`. `response_mode` may be `query`, `form_post` (the code stands in no address), `jwt`, `query.jwt` or `form_post.jwt` (the answer is signed: JARM).',
      ),
    claims: z
      .array(filled('claim'))
      .default(['name', 'email', 'picture'])
      .describe('The claims of the user that `/auth/session` shows to the page, besides `sub` and `iss`.'),
    logout: z
      .strictObject({
        typ: z
          .enum(['strict', 'lax'])
          .default('strict')
          .describe(
            'Back-channel logout tokens: `strict` wants `typ: logout+jwt` and `exp`; `lax` takes those of earlier drafts.',
          ),
        idTokenHint: z
          .boolean({ error: 'write true or false' })
          .optional()
          .meta({ usual: false })
          .describe(
            "Send the ID token to the provider at sign-out. It then stands in the browser's history: only where the provider insists, as `okta` does, where `true` is the default.",
          ),
        revoke: z
          .boolean({ error: 'write true or false' })
          .default(true)
          .describe(
            "Revoke the refresh token at the provider when its session ends. `false` where the provider would end the user's other sessions with it.",
          ),
      })
      .prefault({})
      .describe('Sign-out at the provider.'),
  })
}

export const providerSchema = createProviderSchema(nowhere)
/** As it is in the file, before what follows from its kind is filled in. */
export type WrittenProvider = z.output<typeof providerSchema>
