import { createHmac, hash } from 'node:crypto'
import type { AwsKeys } from './credentials.ts'
import { createMac, type Mac } from './mac.ts'
import { strictlyEncoded } from './uri.ts'

/** What is signed for: a service in a region. */
export interface SigningScope {
  readonly service: string
  readonly region: string
}

export interface Signable {
  readonly method: string
  /** As `signableTarget` gives it. */
  readonly target: { readonly canonicalPath: string; readonly canonicalQuery: string }
  readonly host: string
  /** Of the body, where they are to be signed: bytes, and a media type without blanks at its ends. */
  readonly contentLength?: number | undefined
  readonly contentType?: string | undefined
  /** SHA-256 of the body in hex, or `UNSIGNED-PAYLOAD`. */
  readonly payloadHash: string
  /** Milliseconds since the epoch, by the clock of the service. */
  readonly at: number
}

export const unsignedPayload = 'UNSIGNED-PAYLOAD'
export const hashOf = (body: Uint8Array | string) => hash('sha256', body, 'hex')
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
  const derived = new WeakMap<AwsKeys, Derived>()
  // The others hash the body themselves; these two want to be told.
  const tellsHash = service === 's3' || service === 'aoss'
  const timeOf = createTimeOf()

  function derive(credentials: AwsKeys, day: string): Derived {
    const known = derived.get(credentials)
    if (known?.day === day) return known
    let key: string | Buffer = `AWS4${credentials.secretAccessKey}`
    for (const part of [day, region, service, 'aws4_request']) key = createHmac('sha256', key).update(part).digest()
    const scope = `${day}/${region}/${service}/aws4_request`
    const next = { day, scope, credential: `${credentials.accessKeyId}/${scope}`, mac: createMac(key as Buffer) }
    derived.set(credentials, next)
    return next
  }

  return {
    sign(request, credentials) {
      const time = timeOf(request.at)
      const { scope, credential, mac } = derive(credentials, time.slice(0, 8))
      const added = tellsHash ? ['x-amz-content-sha256', request.payloadHash] : []
      added.push('x-amz-date', time, 'x-amz-security-token', credentials.sessionToken)
      const names = namesOf(request, added)
      const signature = mac(toSign(canonical(request, request.target.canonicalQuery, names, added), time, scope))
      added.push(
        'Authorization',
        `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`,
      )
      return added
    },

    presign(request, credentials, seconds) {
      const time = timeOf(request.at)
      const { scope, credential, mac } = derive(credentials, time.slice(0, 8))
      const names = namesOf(request, [])
      // In the order in which they are signed; the request has no query of its own.
      const query = [
        ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
        ['X-Amz-Credential', credential],
        ['X-Amz-Date', time],
        ['X-Amz-Expires', String(seconds)],
        ['X-Amz-Security-Token', credentials.sessionToken],
        ['X-Amz-SignedHeaders', names],
      ]
        .map(([name, value]) => `${name}=${strictlyEncoded(value as string)}`)
        .join('&')
      return `${query}&X-Amz-Signature=${mac(toSign(canonical(request, query, names, []), time, scope))}`
    },
  }
}

/** What credentials give for a day. As secret as they are. */
interface Derived {
  readonly day: string
  /** What the signature is good for. */
  readonly scope: string
  readonly credential: string
  /** With the signing key. */
  readonly mac: Mac
}

/** The headers that are signed, in the order of the alphabet. `added`: name, value, … of those behind `host`, in that order. */
function namesOf({ contentLength, contentType }: Signable, added: readonly string[]): string {
  let names = contentLength === undefined ? '' : 'content-length;'
  if (contentType !== undefined) names += 'content-type;'
  names += 'host'
  for (let i = 0; i < added.length; i += 2) names += `;${added[i]}`
  return names
}

/** The request as both sides write it down. */
function canonical(request: Signable, query: string, names: string, added: readonly string[]): string {
  const { method, target, host, contentLength, contentType, payloadHash } = request
  let lines = contentLength === undefined ? '' : `content-length:${contentLength}\n`
  if (contentType !== undefined) lines += `content-type:${collapsed(contentType)}\n`
  lines += `host:${host}\n`
  for (let i = 0; i < added.length; i += 2) lines += `${added[i]}:${added[i + 1]}\n`
  return `${method}\n${target.canonicalPath}\n${query}\n${lines}\n${names}\n${payloadHash}`
}

function toSign(canonical: string, time: string, scope: string): string {
  return `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hashOf(canonical)}`
}

/** `20261126T134500Z`. The text stays for its second. */
function createTimeOf(): (at: number) => string {
  let second = Number.NaN
  let text = ''
  return (at) => {
    const asked = Math.floor(at / 1000)
    if (asked !== second) {
      second = asked
      text = new Date(asked * 1000).toISOString().replace(/[-:]|\.000/g, '')
    }
    return text
  }
}

/** Runs of blanks count as one. */
function collapsed(value: string): string {
  return value.includes('  ') ? value.replace(/ +/g, ' ') : value
}
