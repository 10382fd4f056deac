import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { isTopLevelNavigation } from '../protocol/navigation.ts'
import { repostPage } from '../protocol/repost-page.ts'

/** Bytes. A code, a state and an issuer are a few hundred, a signed response a few thousand. */
const maxForm = 16 * 1024
/** Marks the second time. In the address, where no field of the provider's can be taken for it. */
const again = '?again=1'

/** The fields of a form. @throws Refusal `bad_request` for whatever is not exactly that */
export function readForm({ body, fields }: EndpointRequest): URLSearchParams {
  const type = fields.contentType?.toLowerCase().replaceAll(' ', '')
  if (type !== 'application/x-www-form-urlencoded' && type !== 'application/x-www-form-urlencoded;charset=utf-8') {
    throw new Refusal('bad_request', { cause: 'the body is no urlencoded form' })
  }
  if (body.byteLength > maxForm) throw new Refusal('bad_request', { cause: `a form of more than ${maxForm} bytes` })
  try {
    return new URLSearchParams(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new Refusal('bad_request', { cause: 'the form is not UTF-8' })
  }
}

/** Where a callback is posted to: its own address, or that with our mark. Parameters beside the form have two readings. */
export function isSecondPost({ query }: EndpointRequest): boolean {
  if (query !== '' && query !== again) throw new Refusal('bad_request', { cause: 'a query beside the form' })
  return query === again
}

/**
 * The provider's page posts from another site, where SameSite=Lax hides the cookie of the sign-in. A page that posts the
 * same fields once more, from here, shows it. The second time is marked and ends in any case: never a loop.
 * Undefined where nothing was hidden, or nobody is at a window.
 */
export function postAgain(request: EndpointRequest, form: URLSearchParams): Respond | undefined {
  const { fields, path } = request
  const hidden = fields.secFetchSite === undefined || fields.secFetchSite === 'cross-site'
  if (!hidden || !isTopLevelNavigation(fields)) return undefined
  return repostPage(path + again, form)
}
