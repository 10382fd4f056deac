import type { Decision, Outcome } from './decision.ts'
import { Refusal } from './errors.ts'
import { findField, formTypeOf } from './protocol/form-field.ts'
import type { GatewayRequest } from './request.ts'
import type { Services } from './services.ts'
import { parseCookieValue } from './session/cookie-value.ts'

/** Lets a request go on to `goOn` if it carries a token of its own session; refuses it, by throwing, if not. */
export type FormCheck = (
  request: GatewayRequest,
  maxBody: number,
  goOn: () => Outcome | Promise<Outcome>,
) => Decision | Promise<Decision>

/**
 * What `csrf: token` asks of a request that may change something: `X-CSRF-Token`, or a field `csrf_token` within the first
 * 64 KB of a form. The cookie alone says which session's token it has to be, so that nothing is told of whether that session
 * is alive. Where both are there they must agree.
 */
export function createFormCheck({ formTokens }: Pick<Services, 'formTokens'>): FormCheck {
  return (request, maxBody, goOn) => {
    const { fields, head, cookie } = request
    const id = cookie === undefined ? undefined : parseCookieValue(cookie)?.id
    if (id === undefined) throw rejected('a token needs a session')
    const header = fields.csrfToken
    if (header !== undefined && !formTokens.verify(header, id)) throw rejected('X-CSRF-Token is of no such session')
    const type = formTypeOf(fields.contentType)
    // Forward-auth is asked about a head; the body stays with the proxy that asks.
    if (type === undefined || head.asked !== undefined) {
      if (header === undefined) throw rejected('X-CSRF-Token is missing')
      return goOn()
    }
    // Nobody is invited to send what will be refused.
    if (Number(fields.contentLength ?? 0) > maxBody) throw new Refusal('payload_too_large')
    return {
      kind: 'look',
      bytes: reach,
      async decide(beginning) {
        const found = findField(type, 'csrf_token', beginning)
        if (found.kind === 'refused') throw rejected(found.reason)
        if (found.kind === 'absent' && header === undefined)
          throw rejected('neither X-CSRF-Token nor csrf_token in the first 64 KB')
        if (found.kind === 'found' && !formTokens.verify(found.value, id))
          throw rejected('csrf_token is of no such session')
        // Either one would do; but whoever sends two has got one of them from somebody else.
        if (found.kind === 'found' && header !== undefined && found.value !== header)
          throw rejected('csrf_token and X-CSRF-Token differ')
        return await goOn()
      },
    }
  }
}

/** Bytes of the body in which the field must be. */
const reach = 64 * 1024

function rejected(cause: string): Refusal {
  return new Refusal('csrf_rejected', { cause })
}
