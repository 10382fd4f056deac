import * as oauth from 'oauth4webapi'
import type { ProviderConfig } from '../config/schema.ts'

/** How the client proves itself at the token endpoint, and at every other that the provider keeps for its clients. */
export function clientAuthentication({ clientAuth, clientSecret }: ProviderConfig): oauth.ClientAuth {
  return clientAuth === 'client_secret_post' ? oauth.ClientSecretPost(clientSecret) : clientSecretBasic(clientSecret)
}

/**
 * The secret in the Authorization header, form-encoded as RFC 6749 §2.3.1 asks. The library's own encodes `-`, `_` and `.`
 * as well, which a provider that doesn't decode takes for a wrong secret (oauth4webapi #148, #199).
 */
function clientSecretBasic(secret: string): oauth.ClientAuth {
  const formEncoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
  return (_server, client, _body, headers) => {
    const pair = `${formEncoded(client.client_id)}:${formEncoded(secret)}`
    headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`)
  }
}
