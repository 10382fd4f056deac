import { createHash, createHmac } from 'node:crypto'
import type { AwsKeys } from './credentials.ts'
import { strictlyEncoded } from './uri.ts'

/** What is signed for: a service in a region. */
export interface SigningScope {
  readonly service: string
  readonly region: string
}

export interface Signable {
  readonly method: string
  readonly canonicalPath: string
  readonly canonicalQuery: string
  readonly host: string
  /** Further headers to sign: names in lower case, values without blanks at their ends. */
  readonly headers: Readonly<Record<string, string>>
  /** SHA-256 of the body in hex, or `UNSIGNED-PAYLOAD`. */
  readonly payloadHash: string
  /** Milliseconds since the epoch, by the clock of the service. */
  readonly at: number
}

export const unsignedPayload = 'UNSIGNED-PAYLOAD'
export const hashOf = (body: Uint8Array | string) => createHash('sha256').update(body).digest('hex')
export const hashOfNothing = hashOf('')

export interface Signer {
  /** The headers that make the request a signed one: name, value, … Session token and Authorization among them. */
  sign(request: Signable, credentials: AwsKeys): string[]
  /** The query that makes an address good for this request alone, for so many seconds. @see "Authenticating requests: query parameters" */
  presign(request: Signable, credentials: AwsKeys, seconds: number): string
}

/**
 * Signature Version 4. Our own and synchronous: the usual signer keeps session tokens and signing keys in a cache of the whole
 * process, where no sign-out reaches them, and takes five turns of the event loop and many times the time.
 * Derived keys are kept here beside the credentials that they come from, and go with them.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function createSigner({ service, region }: SigningScope): Signer {
  const keys = new WeakMap<AwsKeys, { readonly day: string; readonly key: Buffer }>()
  // The others hash the body themselves; these two want to be told.
  const tellsHash = service === 's3' || service === 'aoss'

  function keyOf(credentials: AwsKeys, day: string): Buffer {
    const known = keys.get(credentials)
    if (known?.day === day) return known.key
    let key: string | Buffer = `AWS4${credentials.secretAccessKey}`
    for (const part of [day, region, service, 'aws4_request']) key = createHmac('sha256', key).update(part).digest()
    keys.set(credentials, { day, key: key as Buffer })
    return key as Buffer
  }

  function signatureOf(canonical: string, time: string, credentials: AwsKeys): string {
    const day = time.slice(0, 8)
    const text = `AWS4-HMAC-SHA256\n${time}\n${day}/${region}/${service}/aws4_request\n${hashOf(canonical)}`
    return createHmac('sha256', keyOf(credentials, day)).update(text).digest('hex')
  }

  return {
    sign(request, credentials) {
      const time = timeOf(request.at)
      const added: Record<string, string> = {
        'x-amz-date': time,
        'x-amz-security-token': credentials.sessionToken,
        ...(tellsHash && { 'x-amz-content-sha256': request.payloadHash }),
      }
      const headers: Record<string, string> = { ...request.headers, host: request.host, ...added }
      const { signed, canonical } = written(request, request.canonicalQuery, headers)
      const signature = signatureOf(canonical, time, credentials)
      const scope = `${credentials.accessKeyId}/${time.slice(0, 8)}/${region}/${service}/aws4_request`
      return [
        ...Object.entries(added).flat(),
        'Authorization',
        `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${signed}, Signature=${signature}`,
      ]
    },

    presign(request, credentials, seconds) {
      const time = timeOf(request.at)
      const headers = { ...request.headers, host: request.host }
      const scope = `${credentials.accessKeyId}/${time.slice(0, 8)}/${region}/${service}/aws4_request`
      // In the order in which they are signed; the request has no query of its own.
      const query = [
        ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
        ['X-Amz-Credential', scope],
        ['X-Amz-Date', time],
        ['X-Amz-Expires', String(seconds)],
        ['X-Amz-Security-Token', credentials.sessionToken],
        ['X-Amz-SignedHeaders', Object.keys(headers).sort().join(';')],
      ]
        .map(([name, value]) => `${name}=${strictlyEncoded(value as string)}`)
        .join('&')
      const { canonical } = written(request, query, headers)
      return `${query}&X-Amz-Signature=${signatureOf(canonical, time, credentials)}`
    },
  }
}

/** The request as both sides write it down, and the names of the headers that are signed. */
function written(request: Signable, query: string, headers: Readonly<Record<string, string>>) {
  const names = Object.keys(headers).sort()
  const signed = names.join(';')
  const lines = names.map((name) => `${name}:${collapsed(headers[name] as string)}\n`).join('')
  const { method, canonicalPath, payloadHash } = request
  return { signed, canonical: `${method}\n${canonicalPath}\n${query}\n${lines}\n${signed}\n${payloadHash}` }
}

/** `20261126T134500Z` */
function timeOf(at: number): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

/** Runs of blanks count as one. */
function collapsed(value: string): string {
  return value.includes('  ') ? value.replace(/ +/g, ' ') : value
}
