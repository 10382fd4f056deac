import { type CryptoKey, exportJWK, generateKeyPair, type JWK, jwtVerify, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { createSigningKeys } from '../../src/oidc/signing-keys.ts'

const server = { issuer: 'https://idp.example', jwks_uri: 'https://idp.example/jwks' }

async function newKey(kid: string) {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } }
}

/** An issuer whose answers wait until they are let go. */
function createIssuer() {
  let published: JWK[] = []
  const waiting: (() => void)[] = []
  const keys = createSigningKeys({
    allowHttp: false,
    now: () => 0,
    // What is published when the request arrives is what it is answered with.
    fetch: () => {
      const answer = Response.json({ keys: published })
      return new Promise((resolve) => waiting.push(() => resolve(answer)))
    },
  })
  return {
    publish: (...all: { jwk: JWK }[]) => {
      published = all.map(({ jwk }) => jwk)
    },
    /** Requests that wait for their answer. */
    waiting,
    async verify({ kid, privateKey }: { kid: string; privateKey: CryptoKey }): Promise<string> {
      const token = await new SignJWT({ sub: 'ada' }).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey)
      const key = (header: Parameters<typeof keys.keyOf>[1], jws: Parameters<typeof keys.keyOf>[2]) =>
        keys.keyOf(server, header, jws)
      return (await jwtVerify(token, key)).payload.sub as string
    },
    async answerNext(): Promise<void> {
      await expect.poll(() => waiting.length).toBe(1)
      waiting.shift()?.()
    },
  }
}

/** An issuer whose one key is known. */
async function createKnownIssuer() {
  const [issuer, old] = [createIssuer(), await newKey('old')]
  issuer.publish(old)
  const first = issuer.verify(old)
  await issuer.answerNext()
  expect(await first).toBe('ada')
  return issuer
}

/** A turn or several of the loop: whoever can go on has done so. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 20))

test('IT4 after a key rotation a crowd looks the new key up by one request, whenever each of them comes', async () => {
  const [issuer, fresh] = [await createKnownIssuer(), await newKey('new')]
  issuer.publish(fresh)
  const before = Array.from({ length: 20 }, () => issuer.verify(fresh))
  await expect.poll(() => issuer.waiting.length).toBe(1)
  await settled()
  // They come while the request is on its way: its answer is as good for them.
  const during = Array.from({ length: 20 }, () => issuer.verify(fresh))
  await settled()
  await issuer.answerNext()
  expect(await Promise.all([...before, ...during])).toEqual(Array(40).fill('ada'))
  expect(issuer.waiting).toHaveLength(0)
})

test('IT4 an answer that may be older than the rotation is not the last word: one more request serves all who need it', async () => {
  const [issuer, fresh] = [await createKnownIssuer(), await newKey('new')]
  // Somebody else's look is on its way when the keys change.
  const stranger = issuer.verify(await newKey('stranger')).catch((error: Error) => error.name)
  await expect.poll(() => issuer.waiting.length).toBe(1)
  issuer.publish(fresh)
  const crowd = Array.from({ length: 20 }, () => issuer.verify(fresh))
  await settled()
  await issuer.answerNext()
  await issuer.answerNext()
  expect(await Promise.all(crowd)).toEqual(Array(20).fill('ada'))
  expect(await stranger).toBe('JWKSNoMatchingKey')
})

test('IT4 invented kids, one after the other or at once, become no flood of requests', async () => {
  const [issuer, invented] = [await createKnownIssuer(), await newKey('invented')]
  const refused = (kid: string) => issuer.verify({ ...invented, kid }).catch((error: Error) => error.name)
  let requests = 0
  for (let wave = 0; wave < 10; wave++) {
    const wanted = Promise.all(Array.from({ length: 10 }, (_, i) => refused(`${wave} ${i}`)))
    await settled()
    while (issuer.waiting.length > 0) {
      requests++
      issuer.waiting.shift()?.()
      await settled()
    }
    expect(new Set(await wanted)).toEqual(new Set(['JWKSNoMatchingKey']))
  }
  expect(requests).toBe(5)
})
