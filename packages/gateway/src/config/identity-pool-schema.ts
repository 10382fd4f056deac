import { z } from 'zod'
import { serverUrl } from './addresses.ts'

const poolExpected = 'write the id of the identity pool, such as eu-west-1:12345678-1234-1234-1234-123456789abc'

export function awsRegion() {
  const error = 'write a region of AWS, such as eu-west-1'
  return z
    .string({ error })
    .regex(/^[a-z]{2}(?:-[a-z]+)+-\d+$/, { error })
    .meta({ title: 'region' })
}

export function roleArn() {
  const error = 'write the ARN of a role, such as arn:aws:iam::123456789012:role/orders'
  return z
    .string({ error })
    .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/, { error })
    .meta({ title: 'ARN' })
}

/** Where users of a provider get AWS credentials. */
export function identityPoolSchema() {
  return z.strictObject({
    id: z
      .string({ error: poolExpected })
      .regex(/^[a-z]{2}(?:-[a-z]+)+-\d+:[0-9a-fA-F-]{36}$/, { error: poolExpected })
      .meta({ title: 'identity pool id' })
      .describe('The id of the identity pool: `REGION:GUID`.'),
    region: awsRegion().optional().describe('Its region; without it the one in `id`.'),
    endpoint: serverUrl()
      .optional()
      .describe("Where its API is, instead of the region's `https://cognito-identity.REGION.amazonaws.com/`."),
    stsEndpoint: serverUrl()
      .optional()
      .describe("Where STS is, instead of the region's `https://sts.REGION.amazonaws.com/`; for `flow: basic`."),
    flow: z
      .enum(['enhanced', 'basic'])
      .default('enhanced')
      .describe(
        '`enhanced`: the pool chooses the role and gives the credentials. `basic`: the gateway asks STS for the role, which must be one of `cognito:roles`.',
      ),
    roleFrom: z
      .union(
        [
          z.enum(['token', 'rules']),
          z.strictObject({ customRoleArn: roleArn().describe('The role to ask for; the ID token must list it.') }),
        ],
        { error: 'write token, rules or { customRoleArn: arn:… }' },
      )
      .default('token')
      .describe(
        "Who says the role: the ID token's `cognito:preferred_role` or only role (`token`), the pool's own rules (`rules`), or this configuration.",
      ),
  })
}

export type IdentityPoolConfig = z.output<ReturnType<typeof identityPoolSchema>>
