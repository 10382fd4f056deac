import type { ServerResponse } from 'node:http'

/** A whole HTTP answer. */
export interface Answer {
  readonly status: number
  readonly type?: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export const json = (value: unknown, status = 200): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
})
export const problem = (status: number, error: string): Answer => json({ error }, status)
export const redirect = (location: string): Answer => ({ status: 303, body: '', headers: { location } })

export function reply(response: ServerResponse, { status, type = 'text/plain', body, headers }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', ...headers }).end(body)
}

/** A page whose script posts a form at once. @see OAuth 2.0 Form Post Response Mode §4 */
export function formPage(action: string, fields: Iterable<readonly [name: string, value: string]>): Answer {
  const safe = (text: string) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
  const inputs = [...fields].map(([name, value]) => `<input type="hidden" name="${safe(name)}" value="${safe(value)}">`)
  const form = `<form method="post" action="${safe(action)}">${inputs.join('')}<button>Go on</button></form>`
  const body = `<!doctype html><title>Back</title>${form}<script>HTMLFormElement.prototype.submit.call(document.forms[0])</script>`
  return { status: 200, type: 'text/html', body }
}

/** What discovery says of an honest provider. */
export function metadata(issuer: string): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    end_session_endpoint: `${issuer}/logout`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    response_modes_supported: ['query', 'form_post', 'jwt', 'query.jwt', 'form_post.jwt'],
    id_token_signing_alg_values_supported: ['RS256', 'PS256', 'ES256'],
    authorization_signing_alg_values_supported: ['RS256', 'PS256', 'ES256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  }
}
