import { timingSafeEqual } from 'node:crypto'
import type { AwsCredentialStore, MintedCredentials } from './aws-credentials.ts'
import { AwsError } from './json-error.ts'
import type { Call } from './service.ts'
import { canonicalRequest, sha256, signatureOf, splitTarget } from './sigv4-canonical.ts'

export interface VerifyOptions {
  readonly service: string
  readonly region: string
  readonly credentials: AwsCredentialStore
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What a signature said about itself, in the header or in the query. */
interface Claimed {
  readonly credential: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
  readonly amzDate: string
  readonly sessionToken: string | undefined
  /** Seconds; of presigned addresses. */
  readonly expires?: number
}

const maxSkew = 5 * 60_000
const maxExpires = 604_800
const unsigned = 'UNSIGNED-PAYLOAD'
const mismatch =
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.'

/** Recomputes the signature of a request from its bytes, and says whose it is. Throws errors as AWS words them. */
export function verifySigV4(call: Call, options: VerifyOptions): MintedCredentials {
  const { service, region, now } = options
  const claimed = claimedBy(call, service)
  const [accessKeyId = '', date = '', scopeRegion, scopeService, terminator] = claimed.credential.split('/')
  if (terminator !== 'aws4_request' || !/^\d{8}T\d{6}Z$/.test(claimed.amzDate)) throw incomplete('Credential or date')
  if (scopeRegion !== region) throw refusal(`Credential should be scoped to a valid region, not '${scopeRegion}'.`)
  if (scopeService !== service) throw refusal(`Credential should be scoped to correct service: '${service}'.`)
  if (!claimed.amzDate.startsWith(date)) throw refusal('Date in Credential scope does not match YYYYMMDD from ISO-8601')
  checkTime(claimed, now())
  checkSignedHeaders(call, claimed.signedHeaders)

  const credentials = options.credentials.find(accessKeyId)
  if (!credentials || credentials.state === 'revoked' || credentials.sessionToken !== claimed.sessionToken) {
    throw new AwsError('UnrecognizedClientException', 'The security token included in the request is invalid.', 403)
  }
  if (credentials.state === 'expired' || credentials.expiresAt <= now()) {
    throw new AwsError('ExpiredTokenException', 'The security token included in the request is expired', 403)
  }
  const presigned = claimed.expires !== undefined
  const canonical = canonicalRequest(call, {
    service,
    signedHeaders: claimed.signedHeaders,
    payloadHash: presigned ? unsigned : payloadHash(call, service),
    ...(presigned && { without: 'X-Amz-Signature' }),
  })
  const { amzDate } = claimed
  const expected = signatureOf(credentials.secretAccessKey, { date, region, service }, { amzDate, canonical })
  const given = Buffer.from(claimed.signature)
  if (given.length !== expected.length || !timingSafeEqual(given, Buffer.from(expected))) {
    throw new AwsError('SignatureDoesNotMatch', mismatch, 403)
  }
  return credentials
}

function claimedBy(call: Call, service: string): Claimed {
  const query = new URLSearchParams(splitTarget(call.target)[1])
  const header = call.headers.authorization
  if (query.has('X-Amz-Signature')) {
    if (header !== undefined) throw incomplete('Only one way to sign at a time')
    if (service !== 's3') throw incomplete('Presigned addresses are for S3 here')
    return claimedByQuery(query)
  }
  if (header === undefined)
    throw new AwsError('MissingAuthenticationTokenException', 'Missing Authentication Token', 403)
  const found = /^AWS4-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([\da-f]{64})$/.exec(
    header,
  )
  if (!found) throw incomplete('Authorization header')
  const [, credential = '', signedHeaders = '', signature = ''] = found
  const amzDate = text(call.headers['x-amz-date'])
  const sessionToken = call.headers['x-amz-security-token']
  return {
    credential,
    signedHeaders: signedHeaders.split(';'),
    signature,
    amzDate: amzDate ?? '',
    sessionToken: text(sessionToken),
  }
}

function claimedByQuery(query: URLSearchParams): Claimed {
  const get = (name: string) => query.get(`X-Amz-${name}`) ?? ''
  const expires = Number(get('Expires'))
  if (get('Algorithm') !== 'AWS4-HMAC-SHA256') throw incomplete('X-Amz-Algorithm')
  if (!/^\d+$/.test(get('Expires')) || expires < 1 || expires > maxExpires) {
    throw new AwsError('AuthorizationQueryParametersError', 'X-Amz-Expires must be between 1 and 604800 seconds')
  }
  return {
    credential: get('Credential'),
    signedHeaders: get('SignedHeaders').split(';'),
    signature: get('Signature'),
    amzDate: get('Date'),
    sessionToken: query.get('X-Amz-Security-Token') ?? undefined,
    expires,
  }
}

function checkTime({ amzDate, expires }: Claimed, now: number): void {
  const at = Date.parse(amzDate.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (expires !== undefined) {
    if (now > at + expires * 1000) throw new AwsError('AccessDenied', 'Request has expired', 403)
    if (at > now + maxSkew) throw new AwsError('AccessDenied', 'Request is not valid yet', 403)
    return
  }
  if (Math.abs(now - at) > maxSkew) {
    const message = 'The difference between the request time and the current time is too large.'
    throw new AwsError('RequestTimeTooSkewed', message, 403)
  }
}

/** What isn't signed could be changed or added on the way: host and all of x-amz-* have to be. */
function checkSignedHeaders(call: Call, signed: readonly string[]): void {
  const present = call.rawHeaders.filter((_value, index) => index % 2 === 0).map((name) => name.toLowerCase())
  const needed = [...new Set(present.filter((name) => name === 'host' || name.startsWith('x-amz-')))]
  const missing = needed.filter((name) => !signed.includes(name))
  if (!signed.includes('host') || missing.length > 0) {
    throw new AwsError(
      'AccessDenied',
      `There were headers present in the request which were not signed: ${missing}`,
      403,
    )
  }
  const sorted = [...signed].sort()
  if (sorted.some((name, index) => name !== signed[index] || !present.includes(name))) throw incomplete('SignedHeaders')
}

/** The hash of the body as it came. S3 alone takes a request that leaves its body unsigned. */
function payloadHash(call: Call, service: string): string {
  const declared = text(call.headers['x-amz-content-sha256'])
  if (declared === undefined && (service === 's3' || service === 'aoss')) {
    throw new AwsError('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  }
  if (declared === unsigned && service === 's3') return unsigned
  const actual = sha256(call.body)
  if (declared !== undefined && declared !== actual) {
    const message = "The provided 'x-amz-content-sha256' header does not match what was computed."
    throw new AwsError('XAmzContentSHA256Mismatch', message)
  }
  return actual
}

const text = (value: string | string[] | undefined) => (Array.isArray(value) ? value.join(',') : value)
const refusal = (message: string) => new AwsError('InvalidSignatureException', message, 403)
const incomplete = (what: string) =>
  new AwsError('IncompleteSignatureException', `Request is missing or has a malformed part: ${what}.`, 403)
