import { createHash } from 'node:crypto'
import type { AcceptedCall } from './aws-api.ts'
import { jsonReply } from './json-error.ts'
import type { Reply } from './service.ts'
import { iam } from './theatre.ts'

/** What the policies of the roles allow at the API Gateway, by path; other paths are nobody's. */
const policies: Readonly<Record<string, readonly string[]>> = {
  '/prod/tonight': [iam.managers, iam.staff, iam.partners],
  '/prod/admin/takings': [iam.managers],
  // The gateway lets everybody through to it: here IAM alone says no.
  '/prod/payroll': [iam.managers],
}

/** The API behind API Gateway with IAM authorization. It never repeats what it got, only what can be said about it. */
export function answerApi(call: AcceptedCall): Reply {
  const [path = ''] = call.target.split('?', 1)
  const allowed = Object.hasOwn(policies, path) ? policies[path] : undefined
  if (!allowed) return jsonReply({ message: 'Missing Authentication Token' }, 403, 'application/json')
  if (!allowed.includes(call.roleArn)) {
    const message = `User: ${call.roleArn} is not authorized to perform: execute-api:Invoke`
    const reply = jsonReply({ message }, 403, 'application/json')
    return { ...reply, headers: { ...reply.headers, 'x-amzn-errortype': 'AccessDeniedException' } }
  }
  return jsonReply({ ...sawOf(call), ...data[path] }, 200, 'application/json')
}

/** A bucket: what was put, by whom. */
export function answerBucket(call: AcceptedCall): Reply {
  const stored = call.method === 'PUT' ? { stored: call.target, bytes: call.body.length } : {}
  return jsonReply({ ...sawOf(call), ...stored }, 200, 'application/json')
}

/** The caller as AWS knows it, and what the request carried, without saying it. */
function sawOf({ roleArn, identityId, rawHeaders }: AcceptedCall) {
  const header = (name: string) => {
    const at = rawHeaders.findIndex((one, index) => index % 2 === 0 && one.toLowerCase() === name)
    return at < 0 ? undefined : rawHeaders[at + 1]
  }
  const authorization = header('authorization') ?? ''
  const token = header('x-amz-security-token') ?? ''
  return {
    caller: { roleArn, identityId },
    signature: {
      algorithm: authorization.split(' ', 1)[0],
      signedHeaders: /SignedHeaders=([^,\s]+)/.exec(authorization)?.[1]?.split(';') ?? [],
      sessionToken: {
        length: token.length,
        fingerprint: createHash('sha256').update(token).digest('hex').slice(0, 12),
      },
      cookies: header('cookie') === undefined ? 'none' : 'arrived',
    },
  }
}

const data: Readonly<Record<string, object>> = {
  '/prod/tonight': { says: 'Tonight: The Tempest, 377 of 412 seats sold' },
  '/prod/admin/takings': { says: 'Takings of tonight: €22,052' },
  '/prod/payroll': { says: 'Payroll of November: 41 people' },
}
