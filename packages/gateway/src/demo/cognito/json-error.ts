import type { Reply } from './service.ts'

/** An error that an AWS API answers, by the name under which SDKs know it. */
export class AwsError extends Error {
  readonly code: string
  readonly status: number

  constructor(code: string, message: string, status = 400) {
    super(message)
    this.code = code
    this.status = status
  }
}

/** An answer of AWS's JSON protocol. */
export function jsonReply(value: unknown, status = 200, type = 'application/x-amz-json-1.1'): Reply {
  return { status, headers: { 'content-type': type, 'cache-control': 'no-store' }, body: JSON.stringify(value) }
}

/** An error of AWS's JSON protocol: named in the body and in a header. */
export function jsonError({ code, message, status }: { code: string; message: string; status: number }): Reply {
  const reply = jsonReply({ __type: code, message }, status)
  return { ...reply, headers: { ...reply.headers, 'x-amzn-errortype': code } }
}

/** Runs the operation that `x-amz-target` names. */
export async function jsonOperation(
  call: { readonly headers: Record<string, unknown>; readonly body: Buffer; readonly method: string },
  prefix: string,
  operations: Readonly<Record<string, (input: Record<string, unknown>) => unknown>>,
): Promise<Reply> {
  try {
    const target = String(call.headers['x-amz-target'] ?? '')
    const name = target.startsWith(`${prefix}.`) ? target.slice(prefix.length + 1) : ''
    const operation = Object.hasOwn(operations, name) ? operations[name] : undefined
    if (!operation || call.method !== 'POST') throw new AwsError('UnknownOperationException', `Unknown: ${target}`)
    if (!String(call.headers['content-type'] ?? '').startsWith('application/x-amz-json-1.1')) {
      throw new AwsError('UnknownOperationException', 'The content type is application/x-amz-json-1.1.')
    }
    return jsonReply((await operation(parse(call.body))) ?? {})
  } catch (error) {
    if (error instanceof AwsError) return jsonError(error)
    throw error
  }
}

function parse(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Told below.
  }
  throw new AwsError('SerializationException', 'The body is not a JSON object.')
}
