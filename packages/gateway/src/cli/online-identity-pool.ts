import type { ProviderConfig } from '../config/schema.ts'
import { createIdentityCalls } from '../upstream/aws/identity-sdk.ts'
import { addressOf } from '../upstream/aws/pool-question.ts'
import { loginsKeyOf } from '../upstream/aws/route-credentials.ts'
import type { Finding } from './online.ts'

/**
 * Asks an identity pool for the identity of a token that is none. It has to refuse, and what it says tells whether it is there
 * and takes tokens of this issuer. No identity comes of it: without any token, a pool that admits guests would make one.
 */
export async function askIdentityPool(name: string, provider: ProviderConfig, timeout: number): Promise<Finding[]> {
  const { identityPool: pool, issuer, userPoolId } = provider
  if (pool === undefined) return []
  const path = ['providers', name, 'identityPool']
  const { region } = addressOf(pool)
  const loginsKey = loginsKeyOf(issuer, userPoolId)
  const calls = createIdentityCalls(addressOf(pool))
  const error = await calls.getId({ [loginsKey]: 'a check of Coatcheck' }, AbortSignal.timeout(timeout)).then(
    () => new Error('it took a token that is none'),
    (cause: unknown) => (cause instanceof Error ? cause : new Error(String(cause))),
  )
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
  if (error.name === 'ResourceNotFoundException') {
    const message = `there is no such identity pool in ${region}; copy the id from the console, region and all`
    return [{ path: [...path, 'id'], message }]
  }
  if (error.name === 'NotAuthorizedException') {
    // AWS has one name for both, and only words tell them apart: where it says other ones, nothing is complained about.
    if (!/supported provider/i.test(error.message)) return []
    const message = `the identity pool takes no tokens of ${loginsKey}; add it there as an identity provider, with this client`
    return [{ path, message }]
  }
  if (error.name === 'InvalidParameterException') return []
  if (error.name === 'TooManyRequestsException') {
    return [{ path, message: 'the identity pool is there, and busy (TooManyRequestsException)', note: true }]
  }
  const what = status === undefined ? reasonOf(error) : `${status} ${error.name}`
  return [{ path, message: `the identity pool does not answer as one: ${what}` }]
}

/** The system's word for it where there is one; never what was sent. */
function reasonOf(error: Error): string {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'no answer in time'
  const code = 'code' in error ? String(error.code) : error.name
  return code.slice(0, 100)
}
