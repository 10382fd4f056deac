import { z } from 'zod'
import { awsSchema } from './aws-schema.ts'
import { duration } from './quantities.ts'
import { settle } from './settle.ts'
import type { Surroundings } from './surroundings.ts'
import { audience, filled, resource, scopes } from './texts.ts'

/** Tokens may live this long at most: what was signed before a rotation of keys must run out while its key is known. */
export const longestTtl = '15m'

const wholly =
  'write none, access-token, id-token, { exchange: { audience: … } }, { mint: { audience: … } } or { aws: { service: …, region: … } }'

/** The keys of `credential`: a token of the user's, or one that is made for the upstream alone. */
export function credentialSchema(around: Surroundings) {
  const exchange = z
    .strictObject({
      audience: audience()
        .optional()
        .describe('The upstream, by the name that the provider knows it by. At least one of this and `resource`.'),
      resource: resource().optional().describe('The upstream, by its address (RFC 8707): an absolute URI.'),
      scope: scopes()
        .optional()
        .describe('The scopes of the new token, with spaces between; without it the provider decides.'),
    })
    .superRefine(({ audience, resource }, ctx) => {
      if (audience !== undefined || resource !== undefined) return
      ctx.addIssue({ code: 'custom', message: 'is missing; write audience, resource, or both', path: ['audience'] })
    })

  const mint = z.strictObject({
    audience: audience().describe('The upstream, by a name of its own: `aud`, which it must check.'),
    ttl: duration({ min: '10s', max: longestTtl })
      .prefault('60s')
      .describe('How long a token is good. It is used for many requests, and made anew before it ends.'),
    claims: z
      .array(z.enum(['roles', 'groups', 'scope'], { error: 'write roles, groups or scope' }))
      .default(['roles'])
      .describe(
        "What it says of the user besides who it is: the application's `roles`, the provider's `groups`, the granted `scope`.",
      ),
    encryptTo: z
      .strictObject({
        file: filled('file').describe(
          "The upstream's public key as a JWK; only its holder can read the tokens (JWE: ECDH-ES+A256KW or RSA-OAEP-256, A256GCM). Read at start.",
        ),
      })
      .transform(({ file }, ctx) => settle(around.encryptionKey(file), around, ctx))
      .optional()
      .describe('Encrypts the signed token.'),
  })

  const made = z
    .strictObject({
      exchange: exchange
        .optional()
        .describe(
          "A token that the session's provider issues for this upstream in exchange for the access token (RFC 8693).",
        ),
      mint: mint
        .optional()
        .describe(
          'A token of the gateway itself, for this upstream: signed, and checked with the keys at `/auth/jwks.json`.',
        ),
      aws: awsSchema()
        .optional()
        .describe("A signature (SigV4) with AWS credentials of the user's role, from the provider's `identityPool`."),
    })
    .transform(({ exchange, mint, aws }, ctx) => {
      if (aws !== undefined && exchange === undefined && mint === undefined) return { kind: 'aws' as const, aws }
      if (aws !== undefined) {
        ctx.addIssue({ code: 'custom', message: 'a request is signed or carries a token; remove one', path: ['aws'] })
        return z.NEVER
      }
      if (exchange !== undefined && mint === undefined) return { kind: 'exchange' as const, exchange }
      if (mint !== undefined && exchange === undefined) return { kind: 'mint' as const, mint }
      const both = exchange !== undefined
      // A mistyped key has been complained about already.
      if (both)
        ctx.addIssue({ code: 'custom', message: 'a token is made in one way; remove exchange or mint', path: ['mint'] })
      else if (ctx.issues.length === 0) ctx.addIssue({ code: 'custom', message: wholly })
      return z.NEVER
    })

  return z.union([z.enum(['none', 'access-token', 'id-token']), made], { error: wholly })
}

export type CredentialConfig = z.output<ReturnType<typeof credentialSchema>>
export type ExchangeConfig = Extract<CredentialConfig, { kind: 'exchange' }>['exchange']
export type MintConfig = Extract<CredentialConfig, { kind: 'mint' }>['mint']

/** Whether upstreams get tokens that the provider issued for API calls, and may have bound to a key of the session. */
export function isProvidersToken(credential: CredentialConfig): boolean {
  return credential === 'access-token' || (typeof credential === 'object' && credential?.kind === 'exchange')
}
