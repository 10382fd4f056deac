import { z } from 'zod'
import { awsRegion, roleArn } from './identity-pool-schema.ts'
import { filled, providerName } from './texts.ts'

const services = ['execute-api', 'lambda', 's3', 'appsync', 'es', 'aoss'] as const

/** `credential: { aws: … }`: requests signed with credentials of the user's role. */
export function awsSchema() {
  return z.strictObject({
    service: z
      .enum(services, { error: `write ${services.slice(0, -1).join(', ')} or ${services.at(-1)}` })
      .describe(
        'What is called: `execute-api` (API Gateway), `lambda` (function URLs), `s3`, `appsync`, `es` (OpenSearch), `aoss` (OpenSearch Serverless).',
      ),
    region: awsRegion().describe('The region of the upstream.'),
    roleArn: roleArn()
      .optional()
      .describe('Ask the identity pool for this role, which the ID token must list; without it the pool chooses.'),
    provider: providerName()
      .optional()
      .describe('Only for users who signed in by this provider; without it, by any that has an `identityPool`.'),
    headers: z
      .array(
        filled('header').refine((name) => /^[A-Za-z0-9-]+$/.test(name) && mayPass(name.toLowerCase()), {
          error: 'is set or withheld by the gateway; remove it',
        }),
      )
      .default([])
      .describe(
        'Further request headers that may pass, by name. Otherwise only usual ones do: types, ranges, conditions, `Accept…`, `X-Api-Key`, `Idempotency-Key`.',
      ),
  })
}

export type AwsConfig = z.output<ReturnType<typeof awsSchema>>

/** What no route may let through: it could make the signed request somebody else's, or another one. */
export function mayPass(name: string): boolean {
  return !/^(?:x-amz-|x-amzn-|x-forwarded-|x-coatcheck-|sec-|proxy-)/.test(name) && !never.has(name)
}

const never = new Set(
  'authorization cookie host forwarded connection keep-alive te trailer transfer-encoding upgrade expect date x-http-method-override x-csrf x-csrf-token dpop origin referer'.split(
    ' ',
  ),
)
