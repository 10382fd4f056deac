import { createHash } from 'node:crypto'
import { jsonReply } from './json-error.ts'
import { GrantError, type PoolGrants } from './pool-grants.ts'
import type { PoolClient } from './pool-settings.ts'
import type { IssueTokens } from './pool-tokens.ts'
import type { Call, Reply } from './service.ts'

class OAuthError extends Error {
  readonly code: string

  constructor(code: string, description = '') {
    super(description)
    this.code = code
  }
}

interface TokenEndpointParts {
  readonly clients: readonly PoolClient[]
  readonly grants: PoolGrants
  readonly issue: IssueTokens
}

/** /oauth2/token and /oauth2/revoke: for applications, with their secret. All errors are 400, `invalid_client` too. */
export function createTokenEndpoint({ clients, grants, issue }: TokenEndpointParts) {
  async function byCode(client: PoolClient, form: URLSearchParams) {
    const code = grants.takeCode(form.get('code') ?? '')
    if (!code || code.grant.clientId !== client.clientId) throw new OAuthError('invalid_grant')
    if (form.get('redirect_uri') !== code.redirectUri) throw new OAuthError('invalid_grant')
    // RFC 7636 §4.6. A verifier where no challenge was sent is refused too: RFC 9700 §2.1.1, the downgrade.
    const verifier = form.get('code_verifier')
    const challenge = verifier === null ? undefined : createHash('sha256').update(verifier).digest('base64url')
    if (challenge !== code.challenge) throw new OAuthError('invalid_grant')
    return jsonReply({ ...(await issue(code.grant)), refresh_token: grants.issueRefresh(code.grant) }, 200, json)
  }

  async function byRefreshToken(client: PoolClient, form: URLSearchParams) {
    try {
      const { grant, replacement } = grants.refresh(form.get('refresh_token') ?? '', client)
      // No refresh_token unless it was replaced: the application keeps the one it has.
      return jsonReply({ ...(await issue(grant)), refresh_token: replacement }, 200, json)
    } catch (error) {
      throw error instanceof GrantError ? new OAuthError('invalid_grant', error.message) : error
    }
  }

  return {
    token: (call: Call) =>
      answering(async () => {
        const form = formOf(call)
        const client = authenticate(call, form, clients)
        const type = form.get('grant_type')
        if (type === 'authorization_code') return byCode(client, form)
        if (type === 'refresh_token') return byRefreshToken(client, form)
        if (type === 'client_credentials') throw new OAuthError('unauthorized_client')
        throw new OAuthError(type === null ? 'invalid_request' : 'unsupported_grant_type')
      }),

    revoke: (call: Call) =>
      answering(async () => {
        const form = formOf(call)
        const client = authenticate(call, form, clients)
        const token = form.get('token')
        if (token === null) throw new OAuthError('invalid_request')
        const grant = grants.grantOfRefreshToken(token)
        // Access and ID tokens are JWTs: this endpoint takes refresh tokens only.
        if (!grant && token.split('.').length === 3) throw new OAuthError('unsupported_token_type')
        if (grant && grant.clientId !== client.clientId) throw new OAuthError('invalid_request')
        if (grant) grant.revoked = true
        return { status: 200 }
      }),
  }
}

const json = 'application/json;charset=UTF-8'

async function answering(run: () => Promise<Reply>): Promise<Reply> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    return jsonReply({ error: error.code, ...(error.message && { error_description: error.message }) }, 400, json)
  }
}

function formOf(call: Call): URLSearchParams {
  const type = String(call.headers['content-type'] ?? '')
  if (call.method !== 'POST' || !type.startsWith('application/x-www-form-urlencoded')) {
    throw new OAuthError('invalid_request', 'POST a form')
  }
  const form = new URLSearchParams(call.body.toString('utf8'))
  for (const name of form.keys()) {
    if (form.getAll(name).length > 1) throw new OAuthError('invalid_request', `${name} is given twice`)
  }
  return form
}

/** By header or by form, not both; any of the client's live secrets. */
function authenticate(call: Call, form: URLSearchParams, clients: readonly PoolClient[]): PoolClient {
  const basic = /^Basic (.+)$/i.exec(String(call.headers.authorization ?? ''))?.[1]
  if (basic !== undefined && form.has('client_secret')) throw new OAuthError('invalid_request')
  const [basicId, basicSecret] = basic === undefined ? [] : basicParts(basic)
  const clientId = basicId ?? form.get('client_id') ?? undefined
  const secret = basicSecret ?? form.get('client_secret') ?? undefined
  if (clientId === undefined) throw new OAuthError('invalid_request')
  if (form.has('client_id') && form.get('client_id') !== clientId) throw new OAuthError('invalid_client')
  const client = clients.find((one) => one.clientId === clientId)
  const known = client?.clientSecrets.length === 0 ? secret === undefined : client?.clientSecrets.includes(secret ?? '')
  if (!client || !known) throw new OAuthError('invalid_client')
  return client
}

/** @see RFC 6749 §2.3.1: both parts are form-encoded before they are joined. */
function basicParts(encoded: string): [id: string, secret: string] {
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  if (colon < 0) throw new OAuthError('invalid_client')
  const decode = (part: string) => new URLSearchParams(`v=${part}`).get('v') ?? ''
  return [decode(pair.slice(0, colon)), decode(pair.slice(colon + 1))]
}
