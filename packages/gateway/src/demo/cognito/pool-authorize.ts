import type { PoolClient } from './pool-settings.ts'

/** A checked authorization request. */
export interface Authorization {
  readonly client: PoolClient
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly state: string | undefined
  readonly nonce: string | undefined
  readonly challenge: string | undefined
  /** The name that was asked for, by `identity_provider` or `idp_identifier`. */
  readonly provider: string | undefined
  readonly prompt: string | undefined
  readonly loginHint: string | undefined
  readonly parameters: URLSearchParams
}

/** A request that is not even sent back to the application: it may not be the application's. */
export class PageError extends Error {}

/** An error that goes back to the application. */
export class RedirectError extends Error {
  readonly code: string
  readonly to: Pick<Authorization, 'redirectUri' | 'state'>

  constructor(code: string, message: string, to: Pick<Authorization, 'redirectUri' | 'state'>) {
    super(message)
    this.code = code
    this.to = to
  }
}

const single =
  'response_type client_id redirect_uri scope state nonce code_challenge code_challenge_method identity_provider idp_identifier prompt login_hint lang'.split(
    ' ',
  )

interface Registered {
  readonly clients: readonly PoolClient[]
  readonly nameOf: (identifier: string) => string | undefined
}

/** Checks what an application asks for at /oauth2/authorize, or at /login with the same parameters. */
export function checkAuthorization(parameters: URLSearchParams, { clients, nameOf }: Registered): Authorization {
  for (const name of single) {
    if (parameters.getAll(name).length > 1) throw new PageError(`${name} is given twice`)
  }
  const get = (name: string) => parameters.get(name) ?? undefined
  const client = clients.find((one) => one.clientId === get('client_id'))
  if (!client) throw new PageError('invalid_request: unknown client_id')
  const redirectUri = get('redirect_uri')
  // Exactly one of the registered addresses: a prefix or another port would be an open redirector.
  if (redirectUri === undefined || !client.redirectUris.includes(redirectUri)) throw new PageError('redirect_mismatch')

  const state = get('state')
  const fail = (code: string, message: string) => new RedirectError(code, message, { redirectUri, state })
  // The real pool mangles JSON in a state; an application that sends any is told at once.
  if (state !== undefined && !/^[\w.~=+/-]*$/.test(state)) {
    throw new RedirectError('invalid_request', 'state must be opaque, as base64url is', {
      redirectUri,
      state: undefined,
    })
  }
  if (get('response_type') !== 'code') throw fail('unauthorized_client', 'response_type must be code')

  const scopes = get('scope')?.split(' ').filter(Boolean) ?? client.scopes
  // offline_access is among them: the real pool doesn't know it.
  if (scopes.some((scope) => !client.scopes.includes(scope))) throw fail('invalid_scope', 'invalid_scope')

  const challenge = get('code_challenge')
  if ((challenge === undefined) !== (get('code_challenge_method') === undefined)) {
    throw fail('invalid_request', 'code_challenge and code_challenge_method belong together')
  }
  if (challenge !== undefined && (get('code_challenge_method') !== 'S256' || !/^[\w-]{43}$/.test(challenge))) {
    throw fail('invalid_request', 'code_challenge_method must be S256')
  }

  const identifier = get('idp_identifier')
  const provider =
    get('identity_provider') ?? (identifier === undefined ? undefined : (nameOf(identifier) ?? identifier))
  if (provider !== undefined && !client.identityProviders.includes(provider)) {
    throw fail('invalid_request', `Identity provider ${provider} is not enabled for this client`)
  }
  const [nonce, prompt, loginHint] = [get('nonce'), get('prompt'), get('login_hint')]
  return { client, redirectUri, scopes, state, nonce, challenge, provider, prompt, loginHint, parameters }
}
