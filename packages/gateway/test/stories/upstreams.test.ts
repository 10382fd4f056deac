import { expect, test } from 'vitest'
import { reservePort } from '../../../testkit/src/listen.ts'
import { createWorld } from '../../../testkit/src/world.ts'

const dead = async () => `http://127.0.0.1:${await reservePort()}`

test('an address that is down is passed by, and routes that share it know it at once; with none left, 502 says when to try again', async () => {
  const [one, other] = [await dead(), await dead()]
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/a/*', upstream: [one, upstream], access: 'authenticated', credential: 'access-token' },
        { path: '/api/b/*', upstream: [one, upstream], access: 'authenticated' },
        { path: '/gone/*', upstream: [one, other], access: 'authenticated' },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
  const browser = await world.signedIn()
  for (const path of ['/api/a/1', '/api/b/2', '/api/a/3', '/api/b/4']) {
    const page = await browser.fetch(path, { method: 'POST', body: 'kept' })
    expect([page.status, page.json<{ body: string }>().body]).toEqual([200, 'kept'])
  }
  expect(world.log.events('upstream_aside')).toMatchObject([{ upstream: one, reason: 'ECONNREFUSED' }])

  await browser.fetch('/gone/x')
  const gone = await browser.fetch('/gone/x')
  expect(gone.json()).toMatchObject({ status: 502, code: 'upstream_unavailable' })
  expect(Number(gone.header('retry-after'))).toBeGreaterThan(0)
})

test('PX8 a token that one address refuses is renewed, and the request repeated, wherever it goes', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        {
          path: '/api/*',
          upstream: [upstream, upstream.replace('127.0.0.1', 'localhost')],
          access: 'authenticated',
          credential: 'access-token',
        },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
  const browser = await world.signedIn()
  let refused: string | undefined
  world.upstream.on('/api/data', ({ request, response }) => {
    refused ??= request.headers.authorization
    response.writeHead(request.headers.authorization === refused ? 401 : 200).end()
  })
  expect((await browser.fetch('/api/data')).status).toBe(200)
  expect(world.upstream.requests.filter(({ target }) => target === '/api/data')).toHaveLength(2)
})
