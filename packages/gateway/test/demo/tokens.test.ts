import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'

interface Found {
  readonly kind: string
  readonly value: string
}
interface Tokens {
  findTokens(text: string): Found[]
  shorten(value: string): string
}

const demo = fileURLToPath(new URL('../../demo', import.meta.url))
// The module is plain JavaScript for browsers: it has no types of its own.
const { findTokens, shorten }: Tokens = await import(join(demo, 'app/attacker/tokens.js'))

const opaque = 'FGjtPGWQz8vS0kqX3TqkY2bW7xJdR9aLmN5pU1hECfV'
const jwt = `${new UnsecuredJWT({ sub: 'nora' }).encode()}c2lnbmF0dXJl`
const kinds = (text: string) => findTokens(text).map(({ kind }) => kind)

describe('finds', () => {
  test('a JWT anywhere in a text', () => {
    expect(findTokens(`{"a":["x ${jwt} y"]}`)).toEqual([{ kind: 'JWT', value: jwt }])
  })

  test('an encrypted JWT', () => {
    const header = Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString('base64url')
    expect(kinds(`${header}..aXY.Y2lwaGVy.dGFn`)).toEqual(['encrypted JWT'])
  })

  test('the answer of a token endpoint: each token by its name, once', () => {
    const answer = JSON.stringify({ access_token: opaque, id_token: jwt, refresh_token: 'r3fr3sh-t0k3n-0f-some-kind' })
    expect(kinds(`${answer}${answer}`)).toEqual(['access token', 'ID token', 'refresh token'])
  })

  test.each([
    ['an assignment', `window.accessToken = '${opaque}'`, 'access token'],
    ['a fragment', `https://app.example.com/#access_token=${opaque}&token_type=bearer`, 'access token'],
    ['a header', `authorization: Bearer ${opaque}`, 'bearer token'],
    ['a callback', 'https://app.example.com/callback?code=4d1c9dE0fF2aB7&state=x1', undefined],
    ['a long callback', `https://app.example.com/callback?code=${opaque}`, 'authorization code'],
    ['an AWS key', '{"AccessKeyId":"ASIAIOSFODNN7EXAMPLE"}', 'AWS access key'],
    ['a value without a name', `q=${opaque};`, 'random value'],
  ])('%s', (_, text, kind) => {
    expect(kinds(text)).toEqual(kind === undefined ? [] : [kind])
  })

  test('nearly every random value of 32 bytes, whatever surrounds it', () => {
    const missed = Array.from({ length: 20_000 }, () => randomBytes(32).toString('base64url')).filter(
      (value) => !findTokens(`"${value}"`).some((found) => found.value === value),
    )
    // One in ninety is missed: 222 ± 15.
    expect(missed.length).toBeLessThan(400)
  })
})

describe('does not take for a token', () => {
  test.each(
    readdirSync(demo, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(html|css|js|svg)$/.test(file))
      .map((file) => [file]),
  )('the file %s', (file) => {
    expect(findTokens(readFileSync(join(demo, file), 'utf8'))).toEqual([])
  })

  test.each([
    [
      'a session',
      '{"authenticated":true,"user":{"sub":"nora","email":"nora@lyric.example"},"expiresAt":"2026-11-23T13:16:48.698Z"}',
    ],
    ['handles of sessions', '{"sessions":[{"id":"kT3vQ9xLw2RzY8mB4nC6pA","current":true}]}'],
    [
      'a problem',
      '{"type":"about:blank","code":"login_required","loginUrl":"/auth/login?return_to=%2Freports%2F2026"}',
    ],
    [
      'a UUID and a trace',
      'x-request-id: 0F8FAD5B-D9CB-469F-A165-70867728950E\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    ],
    [
      'a commit and a SHA-256',
      'de9f2c7fd25e1b3afad3e85a0bd17d9b100db4b3 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    ],
    ['integrity', '<script integrity="sha384-oqVuAfXRKap7fdgcCY5uykM6R9GqQ8Kuxy9rx7HNQlGYl1kPzQho1wx4JwY8wC">'],
    ['an image', 'url(data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4)'],
    ['names', 'How-To-Read-A-Very-Long-Article-About-Http2-In-2026 createElementNS2WithNamespaceForSvgElements'],
    ['source', 'const accessToken = await acquireTokenFromSomewhereElse(); refresh_token: options.refreshTokenOfUser'],
    ['a file of a bundler', '/assets/index-BfGh3kLm.js /assets/vendor-react-dom-D4kQ9xZa.js?v=1.2.3'],
    ['three words with dots', 'eyJustAName.withDots.andMore'],
  ])('%s', (_, text) => {
    expect(findTokens(text)).toEqual([])
  })
})

test('a shortened value can be recognised and not used', () => {
  expect(shorten(opaque)).toBe('FGjtPGWQ…CfV 43 chars'.replace('…CfV', `…${opaque.slice(-4)}`))
  expect(shorten('short-secret-1')).toBe('shor…')
  expect(findTokens(shorten(jwt))).toEqual([])
})

test('PX7 a public key is nothing to carry off, a private one is', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const published = { ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'RIepFoQ1' }
  expect(findTokens(JSON.stringify({ keys: [published, published] }))).toEqual([])
  const secret = privateKey.export({ format: 'jwk' })
  expect(findTokens(JSON.stringify({ keys: [published, secret] })).map(({ value }) => value)).toContain(secret.d)
})
