import { createHash, createHmac } from 'node:crypto'
import type { AwsCredentials } from './credentials.ts'

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
  sign(request: Signable, credentials: AwsCredentials): string[]
}

/**
 * Signature Version 4. Our own and synchronous: the usual signer keeps session tokens and signing keys in a cache of the whole
 * process, where no sign-out reaches them, and takes five turns of the event loop and many times the time.
 * Derived keys are kept here beside the credentials that they come from, and go with them.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function createSigner({ service, region }: SigningScope): Signer {
  const keys = new WeakMap<AwsCredentials, { readonly day: string; readonly key: Buffer }>()
  // The others hash the body themselves; these two want to be told.
  const tellsHash = service === 's3' || service === 'aoss'

  function keyOf(credentials: AwsCredentials, day: string): Buffer {
    const known = keys.get(credentials)
    if (known?.day === day) return known.key
    let key: string | Buffer = `AWS4${credentials.secretAccessKey}`
    for (const part of [day, region, service, 'aws4_request']) key = createHmac('sha256', key).update(part).digest()
    keys.set(credentials, { day, key: key as Buffer })
    return key as Buffer
  }

  function signatureOf(canonical: string, time: string, credentials: AwsCredentials): string {
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
      const names = Object.keys(headers).sort()
      const signed = names.join(';')
      const lines = names.map((name) => `${name}:${collapsed(headers[name] as string)}\n`).join('')
      const { method, canonicalPath, canonicalQuery, payloadHash } = request
      const canonical = `${method}\n${canonicalPath}\n${canonicalQuery}\n${lines}\n${signed}\n${payloadHash}`
      const signature = signatureOf(canonical, time, credentials)
      const scope = `${credentials.accessKeyId}/${time.slice(0, 8)}/${region}/${service}/aws4_request`
      return [
        ...Object.entries(added).flat(),
        'Authorization',
        `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${signed}, Signature=${signature}`,
      ]
    },
  }
}

/** `20261126T134500Z` */
function timeOf(at: number): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

/** Runs of blanks count as one. */
function collapsed(value: string): string {
  return value.includes('  ') ? value.replace(/ +/g, ' ') : value
}
