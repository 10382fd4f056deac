import { z } from 'zod'
import { issuer } from './addresses.ts'
import { secret } from './secret.ts'
import { nowhere, type Surroundings } from './surroundings.ts'
import { filled, scope } from './texts.ts'

/** Parameters of the authorization request that carry its security; the gateway sets them for each sign-in. */
const ownParameters: ReadonlySet<string> = new Set(
  'client_id client_secret code_challenge code_challenge_method nonce redirect_uri request request_uri response_type scope state'.split(
    ' ',
  ),
)

const authorizationParams = z
  .record(z.string(), z.string({ error: 'write text; put numbers in quotes' }))
  .superRefine((parameters, ctx) => {
    for (const [name, value] of Object.entries(parameters)) {
      const message = ownParameters.has(name)
        ? `the gateway sets ${name} itself${name === 'scope' ? ' (from scope of this provider)' : ''}; remove it`
        : name === 'response_mode' && value !== 'query'
          ? 'write query, or remove it: this version completes no sign-in that comes back in another way'
          : undefined
      if (message !== undefined) ctx.addIssue({ code: 'custom', message, path: [name] })
    }
  })

export function createProviderSchema(around: Surroundings) {
  return z.strictObject({
    kind: z.enum(['oidc']).default('oidc').describe('Which family the provider belongs to.'),
    issuer: issuer().describe(
      'The issuer, letter for letter as the provider publishes it. Plain http only on localhost, 127.0.0.1 and [::1].',
    ),
    clientId: filled('client id').describe('The client that the provider registered for this application.'),
    clientSecret: secret(around).describe("The client's secret."),
    clientAuth: z
      .enum(['client_secret_basic', 'client_secret_post'])
      .default('client_secret_basic')
      .describe('How the client proves itself at the token endpoint: in the Authorization header, or in the form.'),
    scope: scope()
      .default('openid profile email')
      .describe(
        'What is asked for, with spaces between. Add `offline_access` where the provider gives refresh tokens only for it.',
      ),
    authorizationParams: authorizationParams
      .default({})
      .describe('Further parameters of the authorization request, such as `audience` or `prompt`.'),
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
          .default(false)
          .describe(
            "Send the ID token to the provider at sign-out. It then stands in the browser's history: only where the provider insists.",
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
