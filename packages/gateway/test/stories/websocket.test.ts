import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { liveWorld, openSocket, refusalOf, startSocketUpstream } from './sockets.ts'

describe('the handshake', () => {
  test('a signed-in page opens a WebSocket: messages go both ways, with the credential that the browser never had', async () => {
    await using upstream = await startSocketUpstream({ protocols: ['chat.v2'] })
    await using world = await liveWorld(upstream, { live: { credential: 'access-token' } })
    const ada = await world.signedIn()
    using live = await openSocket(world, ada, '/live?room=1', {
      protocols: ['chat.v1', 'chat.v2'],
      headers: { authorization: 'Bearer forged', 'x-coatcheck-user': 'root', 'x-forwarded-for': '6.6.6.6' },
    })
    expect(live.socket.protocol).toBe('chat.v2')
    live.socket.send('hello')
    live.socket.send(Buffer.alloc(100_000, 'x'))
    await expect.poll(() => live.messages.map((text) => text.length)).toEqual([5, 100_000])
    const [handshake] = upstream.handshakes
    if (!handshake) throw new Error('no handshake came')
    const { headers, url } = handshake
    expect(url).toBe('/live?room=1')
    expect(headers).toMatchObject({
      host: new URL(upstream.url).host,
      origin: world.origin,
      'x-coatcheck-user': 'ada',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': new URL(world.origin).host,
    })
    expect(headers.authorization).toMatch(/^Bearer (?!forged)/)
    expect(headers['x-request-id']).toBeTruthy()
    expect(headers.traceparent).toBeTruthy()
    expect(headers.cookie).toBeUndefined()
    live.socket.close(4000, 'bye')
    expect(await live.closed).toEqual({ code: 4000, reason: 'bye' })
    await expect.poll(() => upstream.open.size).toBe(0)
  })

  test('permessage-deflate is agreed between client and upstream, and passes as it is', async () => {
    await using upstream = await startSocketUpstream({ deflate: true })
    await using world = await liveWorld(upstream)
    using live = await openSocket(world, await world.signedIn(), '/live', { deflate: true })
    expect(live.socket.extensions).toContain('permessage-deflate')
    const text = 'again and '.repeat(10_000)
    live.socket.send(text)
    await expect.poll(() => live.messages).toEqual([text])
  })

  test('CS5 a page of another site opens no WebSocket, signed in or not: its Origin is not on the list', async () => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream)
    const ada = await world.signedIn()
    for (const browser of [ada, world.browser('stranger')]) {
      for (const origin of [
        'https://evil.example',
        'null',
        `${world.origin}.evil.example`,
        `${world.origin}/`,
        'none',
        null,
      ]) {
        const refused = await refusalOf(openSocket(world, browser, '/live', { origin }))
        expect([origin, refused.status, refused.code]).toEqual([origin, 403, 'origin_rejected'])
        expect(refused.headers.connection).toBe('close')
      }
    }
    expect(upstream.handshakes).toEqual([])
    expect(world.log.lines.filter(({ event }) => event === 'malicious_csrf')).toHaveLength(12)
  })

  test('CS5 origins lists who may, instead of the own one; `none` admits what sends no Origin', async () => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream, { live: { origins: ['https://partner.example', 'none'] } })
    const ada = await world.signedIn()
    for (const origin of ['https://partner.example', null]) {
      using live = await openSocket(world, ada, '/live', { origin })
      live.socket.send('x')
      await expect.poll(() => live.messages).toEqual(['x'])
    }
    expect((await refusalOf(openSocket(world, ada))).status).toBe(403)
  })

  test('a handshake brings no new value of the session cookie: the next request does, and the WebSocket lives on', async () => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream)
    const ada = await world.signedIn()
    world.clock.advance(16 * 60_000)
    using live = await openSocket(world, ada)
    expect(live.answer.headers['set-cookie']).toBeUndefined()
    const answer = await ada.fetch('/api/echo')
    expect(answer.headers('set-cookie')).toEqual([expect.stringMatching(/^__Host-Http-session=v1\.[^.]+\.2\./)])
    expect((await ada.fetch('/api/echo')).status).toBe(200)
    world.clock.advance(10 * 60_000)
    live.socket.send('still here')
    await expect.poll(() => live.messages).toEqual(['still here'])
  })

  test('who is not signed in, lacks the role or a recent sign-in hears so in plain HTTP', async () => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream, {
      routes: [
        { path: '/ops', upstream: upstream.url, access: { roles: ['admin'] } },
        { path: '/fresh', upstream: upstream.url, access: { maxAge: '1m' } },
        { path: '/open', upstream: upstream.url, access: 'public' },
      ],
    })
    const stranger = await refusalOf(openSocket(world, world.browser('stranger')))
    expect([stranger.status, stranger.code]).toEqual([401, 'login_required'])
    expect(stranger.headers['content-type']).toBe('application/problem+json')
    expect(JSON.parse(stranger.body)).toMatchObject({ loginUrl: expect.stringContaining('/auth/login') })
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    const denied = await refusalOf(openSocket(world, bob, '/ops'))
    expect([denied.status, denied.code]).toEqual([403, 'access_denied'])
    world.clock.advance(61_000)
    const stale = await refusalOf(openSocket(world, bob, '/fresh'))
    expect([stale.status, stale.code]).toEqual([401, 'step_up_required'])
    expect(stale.headers['www-authenticate']).toContain('insufficient_user_authentication')
    await bob.fetch('/auth/logout', { method: 'POST' })
    expect(upstream.handshakes).toEqual([])
    using open = await openSocket(world, world.browser('stranger'), '/open')
    open.socket.send('anybody')
    await expect.poll(() => open.messages).toEqual(['anybody'])
  })
})

test('PX10 a reader that reads nothing holds the writer back, both ways, and nothing is lost or reordered', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream)
  using live = await openSocket(world, await world.signedIn())
  await expect.poll(() => upstream.open.size).toBe(1)
  const [there] = upstream.open
  if (!there) throw new Error('nothing came through')
  const piece = randomBytes(256 * 1024)
  for (const [writer, reader] of [
    [there, live.socket],
    [live.socket, there],
  ] as const) {
    reader.pause()
    const total = 200
    let received = 0
    let same = true
    there.removeAllListeners('message')
    const take = (data: unknown) => {
      received++
      same &&= piece.equals(data as Buffer)
    }
    reader.on('message', take)
    for (let i = 0; i < total; i++) writer.send(piece)
    // What the two sockets between them hold; the rest, some 40 MB, waits with the writer.
    await expect.poll(() => writer.bufferedAmount).toBeLessThan(total * piece.length)
    const amounts: number[] = []
    const steady = () => amounts.push(writer.bufferedAmount) > 1 && amounts.at(-1) === amounts.at(-2)
    await expect.poll(steady, { interval: 200 }).toBe(true)
    expect(writer.bufferedAmount).toBeGreaterThan(total * piece.length * 0.5)
    reader.resume()
    await expect.poll(() => received).toBe(total)
    expect([same, writer.bufferedAmount]).toEqual([true, 0])
    reader.off('message', take)
  }
})
