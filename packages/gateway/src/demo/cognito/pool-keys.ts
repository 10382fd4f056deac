import { randomUUID } from 'node:crypto'
import {
  type CryptoKey,
  exportJWK,
  type GenerateKeyPairResult,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose'

interface SigningKey {
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly publicJwk: JWK
}

export type PoolKeys = Awaited<ReturnType<typeof createPoolKeys>>

/** Where key pairs for RS256 come from: each is used in one place at a time. */
export type NewKeyPair = () => Promise<GenerateKeyPairResult>

/** RS256 signing keys: the first signs, all are published. The real pool publishes two, one for each kind of token. */
export async function createPoolKeys(newKeyPair: NewKeyPair = () => generateKeyPair('RS256')) {
  const newKey = async () => named(await newKeyPair())
  let keys: SigningKey[] = [await newKey(), await newKey()]
  return {
    jwks: () => ({ keys: keys.map((key) => key.publicJwk) }),
    /** `index` 0: ID tokens; 1: access tokens. */
    async sign(payload: JWTPayload, index: 0 | 1 = 0): Promise<string> {
      const key = keys[index] as SigningKey
      return new SignJWT(payload).setProtectedHeader({ kid: key.kid, alg: 'RS256' }).sign(key.privateKey)
    },
    async rotate({ keepOld = false }: { readonly keepOld?: boolean } = {}): Promise<void> {
      const fresh = [await newKey(), await newKey()]
      keys = keepOld ? [...fresh, ...keys] : fresh
    },
  }
}

async function named({ privateKey, publicKey }: GenerateKeyPairResult): Promise<SigningKey> {
  const kid = randomUUID()
  const { kty, n, e } = await exportJWK(publicKey)
  return { kid, privateKey, publicJwk: { kty, n, e, alg: 'RS256', use: 'sig', kid } as JWK }
}
