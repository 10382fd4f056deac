import { z } from 'zod'
import { realm } from './kind-schema.ts'
import { filled } from './texts.ts'

/** The directory of users: what is kept of them, and who is the same person at two providers. */
export function createIdentitySchema() {
  const by =
    'write by: verified-email; an address that the provider did not verify is whatever somebody typed, and links nobody'
  const link = z.strictObject({
    providers: z
      .array(z.string({ error: 'write the name of a provider' }))
      .min(2, { error: 'name at least two providers' })
      .describe('Whose users may be the same person. All of them are trusted to say whose an address is.'),
    by: z
      .literal('verified-email', { error: by })
      .describe('The address, where the provider of each says that it verified it (`email_verified`).'),
    domains: z
      .array(realm())
      .min(1, { error: 'name at least one, or remove the key' })
      .optional()
      .describe('Only addresses of these domains. Name those that the organization itself gives out.'),
  })
  return z.strictObject({
    claims: z
      .array(filled('claim'))
      .default([])
      .describe("Claims that the directory keeps of a user beside the provider's `claims`, such as `department`."),
    link: z
      .array(link)
      .default([])
      .describe('Rules by which users of several providers are one; without a rule they never are. See docs/users.md.'),
  })
}
