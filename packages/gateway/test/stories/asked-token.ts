import { decodeJwt } from 'jose'
import { expect } from 'vitest'
import type { World } from '../../../testkit/src/world.ts'

/**
 * Forward-auth hands out a token for `orders` on the route `/asked/*`, which has `forwardAuth: true`, to a proxy that proves
 * itself; without the proof, or for the route `/orders/*` that the gateway proxies itself, it only admits.
 */
export async function expectTokenForProvenProxyOnly(world: World): Promise<void> {
  const browser = await world.signedIn()
  const ask = (proof: Record<string, string>, uri: string) =>
    browser.fetch('/auth/forward', {
      headers: {
        ...proof,
        'x-forwarded-method': 'GET',
        'x-forwarded-uri': uri,
        'x-forwarded-host': new URL(world.origin).host,
        'x-forwarded-proto': 'http',
      },
    })
  const proof = { 'sec-coatcheck-forward': '1' }
  const given = await ask(proof, '/asked/x')
  expect(decodeJwt(given.header('authorization')?.slice(7) ?? '')).toMatchObject({ aud: 'orders', sub: 'ada' })
  for (const withheld of [await ask({}, '/asked/x'), await ask(proof, '/orders/x')]) {
    expect([withheld.status, withheld.header('authorization')]).toEqual([200, undefined])
  }
}
