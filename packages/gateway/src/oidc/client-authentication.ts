import { importPKCS8 } from 'jose'
import * as oauth from 'oauth4webapi'
import type { ClientKey } from '../config/client-key.ts'
import type { ProviderConfig } from '../config/schema.ts'
import { kindOf } from '../providers/kinds.ts'

/**
 * How the client proves itself at the token endpoint, and at every other that the provider keeps for its clients.
 * @throws Error for a configuration that proves nothing, which rules.ts refuses
 */
export function clientAuthentication(config: ProviderConfig): oauth.ClientAuth {
  const { clientAuth, clientCertificate, clientKey, clientSecret } = config
  if (clientKey) return privateKeyJwt(clientKey)
  // The proof is in the handshake: see send.ts. @see RFC 8705 §2
  if (clientCertificate) return oauth.TlsClientAuth()
  if (clientSecret === undefined) {
    if (kindOf(config).publicClient) return oauth.None()
    throw new Error('the client has no way to prove itself')
  }
  return clientAuth === 'client_secret_post' ? oauth.ClientSecretPost(clientSecret) : clientSecretBasic(clientSecret)
}

/**
 * An assertion for each request: audience is the issuer alone, so that it works at no other provider, whatever endpoints
 * that one claims; it ends after a minute and names itself, so that it works once.
 * @see RFC 7523 §3 · FAPI 2.0 Security Profile §5.3.3.1 · CVE-2025-27370, CVE-2025-27371
 */
function privateKeyJwt({ key, algorithm, kid }: ClientKey): oauth.ClientAuth {
  let imported: ReturnType<typeof importPKCS8> | undefined
  return async (server, ...request) => {
    imported ??= importPKCS8(key.export({ type: 'pkcs8', format: 'pem' }) as string, algorithm)
    const named = { key: await imported, ...(kid !== undefined && { kid }) }
    const sign = oauth.PrivateKeyJwt(named, {
      [oauth.modifyAssertion]: (header) => {
        if (algorithm === 'EdDSA') header.alg = nameOfEdDsa(server)
      },
    })
    await sign(server, ...request)
  }
}

/** `EdDSA` as everybody has called it, unless the provider lists only the name that RFC 9864 gave it. */
function nameOfEdDsa({ token_endpoint_auth_signing_alg_values_supported: listed }: oauth.AuthorizationServer): string {
  return listed?.includes('Ed25519') && !listed.includes('EdDSA') ? 'Ed25519' : 'EdDSA'
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
