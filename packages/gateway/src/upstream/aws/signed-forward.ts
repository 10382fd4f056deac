import { isLoopback } from '../../config/addresses.ts'
import type { AwsConfig } from '../../config/aws-schema.ts'
import type { RouteConfig } from '../../config/schema.ts'
import type { Forward, Outcome, Refused, Respond } from '../../decision.ts'
import { Refusal } from '../../errors.ts'
import type { GatewayRequest } from '../../request.ts'
import type { Services } from '../../services.ts'
import type { LiveSession } from '../../session/record.ts'
import type { AwsCredentials } from './credentials.ts'
import { createForwardedHeaders } from './forwarded-headers.ts'
import { quotesSigning } from './quoted-signing.ts'
import { createRouteCredentials } from './route-credentials.ts'
import { createSigner, hashOf, hashOfNothing, unsignedPayload } from './signature.ts'
import { type SignableTarget, signableTarget } from './target.ts'

/** Bytes that the service takes at most, where the body is hashed and so has to be held. */
const largest: Readonly<Record<string, number>> = { lambda: 6 * 1024 * 1024 }
const usualLargest = 10 * 1024 * 1024

export interface SignedForwardParts {
  readonly aws: AwsConfig
  /** The request as it would go without a credential. */
  readonly forward: (request: GatewayRequest, session: LiveSession) => Outcome | Promise<Outcome>
  /** The answer to what was thrown after the decision. */
  readonly answerTo: (error: unknown, request: GatewayRequest) => Respond
}

/** Carries out a route whose requests are signed with AWS credentials of the user's role. */
export function createSignedForward(route: RouteConfig, services: Services, parts: SignedForwardParts) {
  const { now, roleCredentials, clockOffsets, sessions } = services
  const { aws, forward, answerTo } = parts
  const { service } = aws
  const upstream = route.upstream as string
  const { host, protocol, hostname } = new URL(upstream)
  const signer = createSigner({ service, region: aws.region })
  const headersOf = createForwardedHeaders(aws.headers)
  const { obtain, wantedOf } = createRouteCredentials(route, services, aws)
  // S3 alone takes a body that isn't signed; TLS then vouches for it.
  const streams = service === 's3' && (protocol === 'https:' || isLoopback(hostname))
  const maxBody = streams ? route.maxBody : Math.min(route.maxBody, largest[service] ?? usualLargest)

  function signed(base: Forward, target: Target, credentials: AwsCredentials, body?: Uint8Array): Forward {
    const { request, session } = base as Asked
    const { method } = request.head
    const { contentType: type } = request.fields
    const headers = body === undefined ? base.headers.slice() : measured(base.headers, body)
    const payloadHash = body !== undefined ? hashOf(body) : hasBody(request) ? unsignedPayload : hashOfNothing
    const at = now() + (clockOffsets.get(upstream) ?? 0)
    const contentType = type !== undefined && signableType.test(type) ? type : undefined
    headers.push(...signer.sign({ method, target, host, contentType, payloadHash, at }, credentials))
    const again = (forward: Forward, next: AwsCredentials) => {
      // The refusal of what was signed anew is the answer.
      const anew = signed({ ...base, session: forward.session }, target, next, body)
      return { ...anew, refused: hidden }
    }
    return {
      ...base,
      path: target.wire,
      headers,
      // What AWS says of a bad signature repeats the session token, and the browser would have it.
      refused: (told, answer) => {
        const reason = reasonOf(answer.headers)
        const theirs = Date.parse(headerOf(answer.headers, 'date') ?? '')
        const skew = theirs - at
        const skewed = Math.abs(skew) > noticeable
        if (skewed) clockOffsets.set(upstream, theirs - now())
        const expired = /^Expired/.test(reason) || (!Number.isNaN(theirs) && theirs >= credentials.expiresAt)
        if (!answer.repeatable || (!skewed && !expired)) return hidden(told, answer)
        // Signed out meanwhile, here or at another process: nothing more is signed.
        if (sessions.isOver((session as LiveSession).id)) return hidden(told, answer)
        if (!expired) return again(told, credentials)
        const wanted = wantedOf(session as LiveSession)
        return obtain(request, session as LiveSession, wanted, credentials).then(
          (next) => again(told, next.credentials),
          (error: unknown) => answerTo(error, request),
        )
      },
    }
  }

  /** An error of the signature, or any of S3's, may quote what was signed: it is told in our own words. */
  const hidden: Refused = ({ request }, { headers, status, look }) => {
    const told = (code: 'signature_refused' | 'access_denied', cause: string) =>
      answerTo(new Refusal(code, { cause }), request as GatewayRequest)
    const reason = reasonOf(headers)
    if (aboutSignature.test(reason)) return told('signature_refused', `${service} answered ${reason}`)
    if (service === 's3') {
      if (!(headerOf(headers, 'content-type') ?? '').includes('xml')) return undefined
      return told(status === 403 ? 'access_denied' : 'signature_refused', `s3 answered ${status}`)
    }
    // Not every refusal of a signature has a name in its head; the words of API Gateway then quote the canonical string, and
    // the session token in it.
    const coding = headerOf(headers, 'content-encoding')
    return look(enoughToTell).then((body) =>
      quotesSigning(body, coding)
        ? told('signature_refused', `${service} answered ${status} and quoted it`)
        : undefined,
    )
  }

  function carryOut(
    request: GatewayRequest,
    session: LiveSession,
    credentials: AwsCredentials,
    target: Target,
  ): Forward {
    const unsigned = forward(request, session) as Forward
    const base = { ...unsigned, maxBody, headers: headersOf(unsigned.headers) }
    if (!hasBody(request) || streams) return signed(base, target, credentials)
    return {
      ...base,
      path: target.wire,
      withBody: (body) =>
        sessions.isOver(session.id)
          ? answerTo(new Refusal('session_expired', { cause: 'it ended while the body came' }), request)
          : signed(base, target, credentials, body),
    }
  }

  return (request: GatewayRequest, session: LiveSession | undefined): Forward | Promise<Forward> => {
    if (session === undefined) throw new Refusal('login_required')
    const target = targetOf(route, request, service)
    const wanted = wantedOf(session)
    const known = roleCredentials.at(session, wanted)
    if (known !== undefined) return carryOut(request, session, known, target)
    return obtain(request, session, wanted).then((next) => carryOut(request, next.session, next.credentials, target))
  }
}

type Target = Extract<SignableTarget, { kind: 'target' }>
type Asked = Forward & Required<Pick<Forward, 'request'>>

/** Milliseconds by which a clock may be off before a refusal is put down to it; AWS allows five minutes. */
const noticeable = 240_000

const aboutSignature =
  /^(?:InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|UnrecognizedClient|InvalidClientTokenId|ExpiredToken|RequestExpired|RequestTimeTooSkewed)/

/** No refusal of a signature is longer; bytes. */
const enoughToTell = 64 * 1024

/** A media type that is read in one way only; another one is sent, and not signed. */
const signableType = /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/

/** @throws Refusal */
function targetOf({ stripPrefix = '' }: RouteConfig, { path, query }: GatewayRequest, service: string): Target {
  const rest = (stripPrefix === '' ? path : path.slice(stripPrefix.length)) || '/'
  const target = signableTarget(rest, query, service === 's3' ? 's3' : 'encoded-twice')
  if (target.kind === 'refused') throw new Refusal('bad_request', { cause: target.reason })
  return target
}

function hasBody({ fields }: GatewayRequest): boolean {
  return fields.transferEncoding !== undefined || (fields.contentLength !== undefined && fields.contentLength !== '0')
}

/** `x-amzn-errortype: ExpiredTokenException:http://…` */
function reasonOf(headers: readonly string[]): string {
  return (headerOf(headers, 'x-amzn-errortype') ?? '').split(':')[0] ?? ''
}

function headerOf(headers: readonly string[], wanted: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]?.toLowerCase() === wanted) return headers[i + 1]
  return undefined
}

/** With the length of the body as it was read, in place of what was announced. */
function measured(headers: readonly string[], body: Uint8Array): string[] {
  const rest = headers.filter((_, i) => headers[i - (i % 2)]?.toLowerCase() !== 'content-length')
  rest.push('content-length', String(body.length))
  return rest
}
