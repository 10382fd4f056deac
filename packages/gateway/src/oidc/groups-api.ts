import { kindOf } from '../providers/kinds.ts'
import { createBoundedFetch } from './bounded-fetch.ts'
import { withCircuitBreaker } from './circuit-breaker.ts'
import { ProviderFault } from './provider-fault.ts'
import type { ProviderLink } from './provider-link.ts'
import type { Send } from './send.ts'

/** All groups of a user, asked of the provider's own API. Rejects with a `ProviderFault`: some of them are worth nothing. */
export type GroupsApi = (user: { readonly sub: string; readonly accessToken: string }) => Promise<string[]>

/** Pages of 200: more groups than anybody has, and an end for an API that leads in circles. */
const mostPages = 25
/** Milliseconds: for one page, and for all together, since a person waits. */
const patience = { page: 5_000, all: 10_000 }

/**
 * The API of the kind of provider, where it has one and the configuration wants it. Its circuit breaker is its own: where only
 * this API is down, sign-ins that don't need it go on.
 */
export function createGroupsApi({ config }: ProviderLink, send: Send | undefined): GroupsApi | undefined {
  const service = kindOf(config).groups?.(config)
  if (!service) return undefined
  const fetch = withCircuitBreaker(createBoundedFetch({ timeout: patience.page, maxBytes: 1024 * 1024 }, send))

  async function page(url: URL, authorization: string, signal: AbortSignal) {
    const headers = { accept: 'application/json', authorization }
    const response = await fetch(url.href, { headers, signal })
    if (response.status !== 200)
      throw new ProviderFault(`the groups API answered ${response.status}${hintFor(response)}`)
    const groups: unknown = await response.json().catch(() => undefined)
    return { names: namesIn(groups), next: nextPage(response.headers.get('link'), url) }
  }

  return async ({ sub, accessToken }) => {
    // It becomes part of a path: `..` would ask for something else, with a token that may do more.
    if (!/^[\w-]{1,100}$/.test(sub)) throw new ProviderFault('the groups API is not asked for a user of this name')
    const names: string[] = []
    const signal = AbortSignal.timeout(patience.all)
    let url: URL | undefined = new URL(service.path(sub), service.origin)
    for (let pages = 0; url !== undefined; pages++) {
      if (pages >= mostPages) throw new ProviderFault(`the groups API has more than ${mostPages} pages of one user`)
      const answer = await page(url, service.authorization(accessToken), signal)
      names.push(...answer.names)
      url = answer.next
    }
    return names
  }
}

/** One group that can't be read, and the list is not whole. */
function namesIn(groups: unknown): string[] {
  if (!Array.isArray(groups)) throw new ProviderFault('the groups API answered something that is no list')
  return (groups as readonly unknown[]).map((group) => {
    const name = (group as { profile?: { name?: unknown } } | null)?.profile?.name
    if (typeof name !== 'string') throw new ProviderFault('the groups API answered a group without a name')
    return name
  })
}

/**
 * The next page (RFC 8288). It lies where this one does, or the request with its token would go wherever an answer says
 * (CWE-918).
 */
function nextPage(link: string | null, from: URL): URL | undefined {
  const target = /<([^>]*)>\s*;\s*rel="?next"?(?:[\s,;]|$)/.exec(link ?? '')?.[1]
  if (target === undefined) return undefined
  const next = URL.canParse(target, from.href) ? new URL(target, from.href) : undefined
  if (next?.origin === from.origin && next.pathname === from.pathname) return next
  throw new ProviderFault('the groups API names a next page elsewhere')
}

function hintFor({ status }: Response): string {
  if (status === 401) return ': it does not take the token (groupsApi.token)'
  if (status === 403) return ': the token may not read groups'
  if (status === 429) return ': its rate limit is reached'
  return ''
}
