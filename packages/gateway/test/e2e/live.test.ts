/// <reference lib="dom" />
import { createServer } from 'node:http'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchChromium } from '../../../testkit/src/chromium.ts'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import type { World } from '../../../testkit/src/world.ts'
import { liveWorld, startSocketUpstream } from '../stories/sockets.ts'

/* WebSockets and event streams in a real Chromium: its own handshake, its own Origin, its own SameSite. */
let chromium: Browser
beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

/** What becomes of `new WebSocket(url)` on the page: `open`, or the code of its close. */
const tryToOpen = (page: Page, url: string) =>
  page.evaluate(
    (address) =>
      new Promise((resolve) => {
        const socket = new WebSocket(address)
        socket.onopen = () => resolve('open')
        socket.onclose = ({ code }) => resolve(code)
      }),
    url,
  )

async function signedInPage(context: BrowserContext, { origin }: World): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${origin}/auth/login?return_to=/`)
  await page.locator('button[value=ada]').click()
  await page.waitForURL(`${origin}/`)
  return page
}

test('CS5 a page of another site, in the browser of a signed-in user, opens no WebSocket; the application’s own does', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream)
  const elsewhere = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>Elsewhere</title>')
  })
  const port = await listen(elsewhere)
  const context = await chromium.newContext()
  try {
    const page = await signedInPage(context, world)
    const address = `${world.origin.replace('http', 'ws')}/live`
    expect(await tryToOpen(page, address)).toBe('open')
    expect(upstream.handshakes).toHaveLength(1)
    // Another port of the same host is the same site: there the browser sends the cookie along, and only Origin is left.
    for (const host of ['127.0.0.1', 'localhost']) {
      await page.goto(`http://${host}:${port}/`)
      expect([host, await tryToOpen(page, address)]).toEqual([host, 1006])
    }
    expect(upstream.handshakes).toHaveLength(1)
    expect(world.log.lines.filter(({ event }) => event === 'malicious_csrf')).toHaveLength(2)
  } finally {
    await context.close()
    await closeServer(elsewhere)
  }
})

test('LO1 the page’s WebSocket is closed with 4401 and its EventSource says why, when another tab signs out', async () => {
  await using upstream = await startSocketUpstream({ deflate: true })
  await using world = await liveWorld(upstream)
  const context = await chromium.newContext()
  try {
    const page = await signedInPage(context, world)
    await page.evaluate(async () => {
      const heard: unknown[] = []
      Object.assign(window, { heard })
      const events = new EventSource('/auth/events')
      events.addEventListener('ended', ({ data }) => {
        heard.push(['ended', JSON.parse(data)])
        events.close()
      })
      const socket = new WebSocket(`ws://${location.host}/live`)
      socket.onclose = ({ code, reason, wasClean }) => heard.push(['close', code, reason, wasClean])
      socket.onmessage = ({ data }) => heard.push(['message', data])
      await new Promise((resolve) => {
        socket.onopen = resolve
      })
      socket.send('hello '.repeat(3))
      if (events.readyState !== EventSource.OPEN) {
        await new Promise((resolve) => {
          events.onopen = resolve
        })
      }
    })
    const tab = await context.newPage()
    await tab.goto(world.origin)
    await tab.evaluate(() => fetch('/auth/logout', { method: 'POST', headers: { 'X-CSRF': '1' } }))
    const heard = () => page.evaluate(() => (window as unknown as { heard: unknown[][] }).heard)
    await expect.poll(heard, { timeout: 10_000 }).toHaveLength(3)
    const [first, ...rest] = await heard()
    expect(first).toEqual(['message', 'hello hello hello '])
    expect(rest).toContainEqual(['close', 4401, 'session_expired', true])
    expect(rest).toContainEqual(['ended', { reason: 'logout' }])
  } finally {
    await context.close()
  }
})
