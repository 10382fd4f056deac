import type Provider from 'oidc-provider'
import type { TokenEndpointGrantContext } from 'oidc-provider'

/** An API for which the provider issues tokens in exchange for others. */
export interface ExchangeTarget {
  /** By its name, which becomes `aud`. */
  readonly audience: string
  /** By its address (RFC 8707); the name does in any case. */
  readonly resource?: string
  readonly scopes: readonly string[]
  /** Seconds. */
  readonly ttl: number
}

export interface ExchangeRules {
  /** Read anew at each exchange. */
  readonly targets: readonly ExchangeTarget[]
  /** Users who get no token for any of them. */
  readonly denied?: ReadonlySet<string>
  /** Whether an access token counts as taken back. */
  readonly takenBack?: (token: string) => boolean
  /** Without a word on how long a token lives, as RFC 8693 §2.2.1 allows. */
  readonly silent?: boolean
}

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

interface Parameters {
  readonly subject_token?: string
  readonly subject_token_type?: string
  readonly actor_token?: string
  readonly actor_token_type?: string
  readonly requested_token_type?: string
  readonly audience?: string | string[]
  readonly resource?: string | string[]
  readonly scope?: string
}

const parameters = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope',
]

/**
 * Token exchange, which oidc-provider lacks, as one of its grants: the client proves itself as for any other, and the new token
 * is one of the provider's own, a signed JWT for one API. Impersonation of the user only, no actors.
 * @see RFC 8693 §2
 */
export function registerTokenExchange(provider: Provider, rules: ExchangeRules): void {
  provider.registerGrantType<Parameters>(
    exchangeGrant,
    async (ctx) => {
      ctx.body = await exchange(provider, ctx, rules)
    },
    parameters,
    ['audience', 'resource'],
  )
}

async function exchange(provider: Provider, ctx: TokenEndpointGrantContext<Parameters>, rules: ExchangeRules) {
  // Not at load time: the provider is loaded once, with care for what it prints.
  const { errors } = await import('oidc-provider')
  const { buildTokenResponse, checkDpopReplay, checkMtlsCert, validateDpop } = await import(
    'oidc-provider/lib/helpers/grants.js'
  )
  const { client, params } = ctx.oidc
  const mistake = mistakeIn(params)
  if (mistake !== undefined) throw new errors.InvalidRequest(mistake)
  const dpop = await validateDpop(provider, ctx)
  const subject = await provider.AccessToken.find(params.subject_token as string)
  // §2.2.2: whatever is wrong with the subject token is invalid_request.
  if (subject === undefined || rules.takenBack?.(params.subject_token as string))
    throw new errors.InvalidRequest('the subject token is unknown, over, or no access token')
  if (subject.clientId !== client.clientId) throw new errors.InvalidRequest('the subject token is of another client')
  if (subject.jkt !== undefined && subject.jkt !== dpop?.thumbprint) {
    throw new errors.InvalidRequest('the subject token is bound to a key that was not shown')
  }
  const target = targetOf(params, rules)
  if (target === undefined) throw new errors.InvalidTarget('no such target')
  const scope = params.scope?.split(' ') ?? target.scopes
  if (!scope.every((one) => target.scopes.includes(one)))
    throw new errors.InvalidScope('scope is not of the target', '')
  if (rules.denied?.has(subject.accountId)) throw new errors.AccessDenied('this user may not use the target')

  const token = new provider.AccessToken({
    client,
    accountId: subject.accountId,
    grantId: subject.grantId,
    gty: 'token_exchange',
    scope: scope.join(' '),
    sid: subject.sid,
    sessionUid: subject.sessionUid,
    expiresWithSession: subject.expiresWithSession,
    expiresIn: target.ttl,
    resourceServer: new provider.ResourceServer(target.audience, {
      audience: target.audience,
      scope: target.scopes.join(' '),
      accessTokenTTL: target.ttl,
      accessTokenFormat: 'jwt',
    }),
  })
  if (dpop) {
    await checkDpopReplay(provider, ctx, dpop, client.clientId)
    token.setThumbprint('jkt', dpop.thumbprint)
  }
  const certificate = checkMtlsCert(provider, ctx)
  if (certificate) token.setThumbprint('x5t', certificate as never)
  return buildTokenResponse(provider, {
    accessToken: await token.save(),
    issuedTokenType: accessTokenType,
    tokenType: token.tokenType,
    ...(rules.silent !== true && { expiresIn: token.expiration }),
    scope: scope.join(' '),
  })
}

/** §2.1 */
function mistakeIn(given: Parameters): string | undefined {
  if (!given.subject_token) return 'subject_token is missing'
  if (given.subject_token_type !== accessTokenType) return 'subject_token_type is another'
  if (given.actor_token !== undefined || given.actor_token_type !== undefined) return 'nobody acts for another here'
  return (given.requested_token_type ?? accessTokenType) === accessTokenType
    ? undefined
    : 'requested_token_type is another'
}

/** All that is named has to be the same API. */
function targetOf({ audience, resource }: Parameters, { targets }: ExchangeRules): ExchangeTarget | undefined {
  const named = [audience ?? [], resource ?? []].flat()
  const [first, ...more] = named.map((name) => targets.find((one) => one.audience === name || one.resource === name))
  return more.every((one) => one === first) ? first : undefined
}
