import { randomBytes } from 'node:crypto'
import { readJsonBody } from '../../account/json-body.ts'
import type { AwsConfig } from '../../config/aws-schema.ts'
import type { PresignConfig } from '../../config/presign-schema.ts'
import type { RouteConfig } from '../../config/schema.ts'
import type { Endpoint, Respond } from '../../decision.ts'
import { Refusal } from '../../errors.ts'
import { json } from '../../protocol/json-response.ts'
import type { GatewayRequest } from '../../request.ts'
import type { Services } from '../../services.ts'
import type { LiveSession } from '../../session/record.ts'
import { createRouteCredentials } from './route-credentials.ts'
import { createSigner, unsignedPayload } from './signature.ts'
import { uploadKey } from './upload-key.ts'
import { strictlyEncoded } from './uri.ts'

export interface PresignedUploadParts {
  readonly aws: AwsConfig
  readonly presign: PresignConfig
  readonly answerTo: (error: unknown, request: GatewayRequest) => Respond
}

/** What the page has to say fits in here many times. */
const maxBody = 4096
/** Less than that is of no use to anybody; milliseconds. */
const shortest = 5_000

/**
 * `POST` with `{"size","type","name"?}`: an address to which the page may PUT one object of just this size and type, under a
 * key that is chosen here. A big file so goes to S3 without passing through.
 *
 * The address is a permission in the hands of the page for `expires`, a sign-out in between notwithstanding. Its query holds
 * the key id and the session token, as S3 wants it, but not the secret key: neither signs anything. The signature is for one
 * method, key, type and length. So the secret key is what never leaves; a session that is restricted to the one upload would
 * take two more calls to AWS each time, and allow no less.
 */
export function createPresignedUpload(route: RouteConfig, services: Services, parts: PresignedUploadParts) {
  const { clockOffsets, log, now, roleCredentials, sessions } = services
  const { aws, presign, answerTo } = parts
  const upstream = route.upstream as string
  const { host } = new URL(upstream)
  const signer = createSigner({ service: 's3', region: aws.region })
  const { obtain, wantedOf } = createRouteCredentials(route, services, aws)

  async function permit(request: GatewayRequest, session: LiveSession, body: Uint8Array): Promise<Respond> {
    const { size, type, name } = readUpload({ body, fields: request.fields })
    if (size > presign.maxSize) throw new Refusal('payload_too_large', { cause: `an upload of ${size} bytes` })
    if (!isAllowed(type, presign.types)) throw refused('the type is none of those that the route allows')
    const wanted = wantedOf(session)
    const held = roleCredentials.at(session, wanted)
    // Not those that are nearly over, if there are others to be had.
    const lasting = held !== undefined && held.expiresAt - now() >= presign.expires
    const credentials = lasting ? held : (await obtain(request, session, wanted)).credentials
    // Signed out while the body came, or the pool was asked: nothing is given any more.
    if (sessions.isOver(session.id)) throw new Refusal('session_expired', { cause: 'it ended meanwhile' })
    const { sub } = session.record.subject
    const id = randomBytes(16).toString('hex')
    const chosen = uploadKey(presign.key, { sub, id, name, identityId: credentials.identityId })
    if (chosen.kind === 'refused') throw refused(chosen.reason)
    const life = Math.min(presign.expires, credentials.expiresAt - now())
    if (life < shortest) throw new Refusal('provider_unavailable', { cause: 'the credentials are about to end' })
    const seconds = Math.floor(life / 1000)
    const canonicalPath = `/${chosen.key.split('/').map(strictlyEncoded).join('/')}`
    const at = now() + (clockOffsets.get(upstream) ?? 0)
    const target = { canonicalPath, canonicalQuery: '' }
    const upload = { method: 'PUT', target, host, contentLength: size, contentType: type }
    const query = signer.presign({ ...upload, payloadHash: unsignedPayload, at }, credentials, seconds)
    const event = { session: sessions.handleOf(session.id), requestId: request.requestId, route: route.path }
    log.info({ event: 'aws_upload_permitted', ...event, size, type, seconds })
    return json(200, {
      url: `${upstream}${canonicalPath}?${query}`,
      method: 'PUT',
      // The browser sends the length itself, and lets no script do it.
      headers: { 'content-type': type },
      key: chosen.key,
      expiresAt: new Date(now() + seconds * 1000).toISOString(),
    })
  }

  return (request: GatewayRequest, session: LiveSession | undefined): Endpoint => {
    if (session === undefined) throw new Refusal('login_required')
    const run = (body: Uint8Array) => permit(request, session, body).catch((error) => answerTo(error, request))
    return { kind: 'endpoint', maxBody, run }
  }
}

function readUpload(request: Parameters<typeof readJsonBody>[0]) {
  const { size, type, name, ...more } = readJsonBody(request)
  const known = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 && typeof type === 'string'
  if (!known || (name !== undefined && typeof name !== 'string') || Object.keys(more).length > 0) {
    throw refused('write {"size": bytes, "type": "image/png", "name": "of the file, if the key has one"}')
  }
  return { size, type, name }
}

/** In small letters and without parameters, as a File of a browser has it: what is signed is sent exactly so. */
function isAllowed(type: string, ranges: readonly string[]): boolean {
  if (!/^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/.test(type)) return false
  return ranges.some((range) => (range.endsWith('/*') ? type.startsWith(range.slice(0, -1)) : type === range))
}

function refused(cause: string): Refusal {
  return new Refusal('bad_request', { cause })
}
