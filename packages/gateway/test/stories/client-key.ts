import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WorldOptions } from '../../../testkit/src/world.ts'

export type KeyKind = 'P-256' | 'P-384' | 'RSA' | 'Ed25519'

export function newKeyPair(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === 'RSA') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return kind === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: kind })
}

export const pemOf = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }) as string

/** A client of the provider `corp` that is known by the public half of a key, in `key.pem` of the world's folder. */
export function keyClient(
  kind: KeyKind,
  options: { clientKey?: object; provider?: object; metadata?: object; kid?: string } = {},
): Pick<WorldOptions, 'client' | 'config'> {
  const { publicKey, privateKey } = newKeyPair(kind)
  const { kid } = options
  const jwk = { ...publicKey.export({ format: 'jwk' }), use: 'sig', ...(kid !== undefined && { kid }) }
  return {
    client: {
      metadata: { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] }, ...options.metadata },
    },
    config: ({ folder }) => {
      writeFileSync(join(folder, 'key.pem'), pemOf(privateKey), { mode: 0o600 })
      return {
        providers: {
          corp: {
            clientSecret: undefined,
            clientKey: { file: 'key.pem', ...(kid !== undefined && { kid }), ...options.clientKey },
            authorizationParams: { prompt: 'consent' },
            ...options.provider,
          },
        },
      }
    },
  }
}
