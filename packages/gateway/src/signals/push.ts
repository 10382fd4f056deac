import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { json } from '../protocol/json-response.ts'
import { printable } from '../protocol/printable.ts'
import { timingSafeEqual } from '../protocol/timing-safe.ts'
import type { Services } from '../services.ts'
import { authorizationOf } from './bearer.ts'
import { isMediaType } from './media-type.ts'
import type { Receiver } from './receiver.ts'
import { invalid, readEvent, SetRefusal } from './security-event.ts'
import type { Transmitter } from './transmitters.ts'

/**
 * `POST /auth/signals`: a transmitter pushes one Security Event Token. 202 when it was done (or was done before), 400 with
 * `err` when it is refused for good, 503 when it should come again. @see RFC 8935 §2
 */
export function createPush(
  { log }: Pick<Services, 'log'>,
  receiver: Receiver,
  transmitters: ReadonlyMap<string, Transmitter>,
) {
  return async (request: EndpointRequest): Promise<Respond> => {
    if (transmitters.size === 0) throw new Refusal('not_found')
    try {
      const { transmitter, token } = read(request)
      await receiver.receive(token, transmitter)
      return { kind: 'respond', status: 202, headers: ['Cache-Control', 'no-store'], body: '' }
    } catch (error) {
      if (!(error instanceof SetRefusal)) throw error
      const { err } = error
      const reason = printable(error.message)
      log.warn({ event: 'signal_refused', code: err, reason, address: request.address, requestId: request.requestId })
      return json(400, { err, description: describe[err] }, ['Content-Language', 'en'])
    }
  }

  function read(request: EndpointRequest): { transmitter: Transmitter; token: string } {
    if (!isMediaType(request.fields.contentType, 'application/secevent+jwt')) {
      throw invalid('the body is not application/secevent+jwt')
    }
    const token = Buffer.from(request.body).toString('latin1').trim()
    const { iss } = readEvent(token).payload
    const transmitter = typeof iss === 'string' ? transmitters.get(iss) : undefined
    if (!transmitter) throw new SetRefusal('invalid_issuer', 'iss is not a configured transmitter')
    if (!mayPush(transmitter, authorizationOf(request))) {
      throw new SetRefusal('authentication_failed', 'Authorization is not the configured one')
    }
    return { transmitter, token }
  }
}

/** A stream's `authorization_header` is a whole header value; some transmitters put `Bearer` before it themselves. */
function mayPush({ config }: Transmitter, header: string | undefined): boolean {
  if (config.authorization === undefined) return true
  const presented = header ?? ''
  const secret = Buffer.from(config.authorization)
  return [presented, presented.replace(/^Bearer +/i, '')].some((value) => timingSafeEqual(Buffer.from(value), secret))
}

/** For the transmitter's operator; what exactly is wrong stays in our log. */
const describe = {
  invalid_request: 'The event can not be read, or breaks a rule of Security Event Tokens or of its event type.',
  invalid_key: 'The event is not signed by a key of the transmitter, with an asymmetric algorithm.',
  invalid_issuer: 'The issuer is not a configured transmitter.',
  invalid_audience: 'The event is not for this receiver.',
  authentication_failed: 'The Authorization header is not the one that was agreed.',
  invalid_state: 'The state is not one that was asked for.',
} as const
