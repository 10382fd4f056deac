import { randomUUID } from 'node:crypto'
import { escapeHtml } from '../provider-pages.ts'
import type { AwsCredentialStore } from './aws-credentials.ts'
import { createFaults, type Faults } from './faults.ts'
import { AwsError, jsonReply } from './json-error.ts'
import { type Call, type Reply, startService } from './service.ts'
import { sha256 } from './sigv4-canonical.ts'
import { verifySigV4 } from './sigv4-verify.ts'

export interface AwsApiOptions {
  /** `execute-api`, `lambda`, `s3`, `appsync`, `es`, `aoss`. */
  readonly service: string
  readonly region?: string
  readonly credentials: AwsCredentialStore
  /** Origins whose scripts may send presigned requests, as a bucket's CORS rules say. */
  readonly corsOrigins?: readonly string[]
  /** What is answered to a good signature; without it, who called and all that was received. */
  readonly respond?: (call: AcceptedCall) => Reply
  readonly port?: number
  readonly now?: () => number
}

export interface AcceptedCall extends Pick<Call, 'method' | 'target' | 'rawHeaders' | 'body'> {
  readonly roleArn: string
  readonly identityId: string
}

export interface AwsApi extends AsyncDisposable {
  readonly url: string
  readonly service: string
  readonly region: string
  /** Every request as it came, good or not. */
  readonly received: readonly Call[]
  /** Those whose signature was good. */
  readonly accepted: readonly AcceptedCall[]
  /** S3: what was put, by path. */
  readonly objects: ReadonlyMap<string, Buffer>
  /** Knobs and records: operations are methods and paths, `GET /items`. */
  readonly faults: Faults
  close(): Promise<void>
}

/** Plays a service of AWS that only verifies SigV4, strictly, and answers who called: role, identity, what was received. */
export async function startAwsApi(options: AwsApiOptions): Promise<AwsApi> {
  const { service, region = 'us-east-1', credentials, corsOrigins = [] } = options
  const faults = createFaults()
  const now = () => (options.now?.() ?? Date.now()) + faults.skew
  const received: Call[] = []
  const accepted: AcceptedCall[] = []
  const objects = new Map<string, Buffer>()
  const errorReply = service === 's3' ? xmlError : jsonError

  function answer(call: Call): Reply {
    received.push(call)
    if (service === 's3' && call.method === 'OPTIONS') return { status: 200 }
    try {
      const { roleArn, identityId, tags } = verifySigV4(call, { service, region, credentials, now })
      const { method, target, rawHeaders, body } = call
      const good = { method, target, rawHeaders, body, roleArn, identityId }
      accepted.push(good)
      if (service === 's3' && method === 'PUT') objects.set(call.url.pathname, body)
      if (options.respond) return options.respond(good)
      const echo = { method, target, headers: call.headers, bodyBytes: body.length, bodySha256: sha256(body) }
      return jsonReply({ service, roleArn, identityId, tags, received: echo }, 200, 'application/json')
    } catch (error) {
      if (error instanceof AwsError) return errorReply(error)
      throw error
    }
  }

  const endpoint = await startService({
    port: options.port ?? 0,
    now,
    faults,
    operationOf: ({ method, url }) => `${method} ${url.pathname}`,
    errorReply,
    handle: (call) => withCors(answer(call), call, corsOrigins),
  })
  const { url, close } = endpoint
  return { url, service, region, received, accepted, objects, faults, close, [Symbol.asyncDispose]: close }
}

function withCors(reply: Reply, call: Call, origins: readonly string[]): Reply {
  const { origin } = call.headers
  if (origin === undefined || !origins.includes(origin)) return reply
  const allowed = {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, PUT',
    'access-control-allow-headers': 'content-type',
    vary: 'origin',
  }
  return { ...reply, headers: { ...reply.headers, ...allowed } }
}

type Words = { readonly code: string; readonly message: string; readonly status: number }

function jsonError({ code, message, status }: Words): Reply {
  const reply = jsonReply({ __type: code, message }, status, 'application/json')
  return { ...reply, headers: { ...reply.headers, 'x-amzn-errortype': code, 'x-amzn-requestid': randomUUID() } }
}

/** How S3 names the same failures. */
const s3Names: Readonly<Record<string, readonly [code: string, status: number]>> = {
  MissingAuthenticationTokenException: ['AccessDenied', 403],
  UnrecognizedClientException: ['InvalidToken', 400],
  ExpiredTokenException: ['ExpiredToken', 400],
  InvalidSignatureException: ['AuthorizationHeaderMalformed', 400],
  IncompleteSignatureException: ['AuthorizationHeaderMalformed', 400],
}

function xmlError({ code, message, status }: Words): Reply {
  const [name, own] = s3Names[code] ?? [code, status]
  const body = `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>${name}</Code><Message>${escapeHtml(message)}</Message><RequestId>${randomUUID()}</RequestId></Error>`
  return { status: own, headers: { 'content-type': 'application/xml' }, body }
}
