/// <reference lib="dom" />
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchChromium } from '../../../testkit/src/chromium.ts'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import { createWorld } from '../../../testkit/src/world.ts'

/* Forms of a server-rendered application in a real Chromium: its own encoding, Origin and Fetch Metadata. */
let chromium: Browser
beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

test('CS4 a page with the token in its form: sent by a click it arrives, with a file too; the same form on another site does not', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/shop/*', upstream, access: 'authenticated', csrf: 'token' },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
  const formOf = (action: string, token: string) => `<!doctype html><title>Form</title>
    <form id="plain" method="post" action="${action}"><input name="csrf_token" value="${token}"><input name="note" value="é &amp; ü"><button>Send</button></form>
    <form id="file" method="post" action="${action}" enctype="multipart/form-data"><input name="csrf_token" value="${token}"><input type="file" name="file"><button>Send</button></form>`
  world.upstream.on('/shop/form', ({ request, response }) => {
    const token = String(request.headers['x-coatcheck-csrf-token'])
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(formOf('/shop/save', token))
  })
  const elsewhere = createServer((request, response) => {
    const token = new URL(request.url ?? '/', 'http://elsewhere').searchParams.get('token') ?? ''
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(formOf(`${world.origin}/shop/save`, token))
  })
  const port = await listen(elsewhere)
  const context = await chromium.newContext()
  try {
    const page = await context.newPage()
    await page.goto(`${world.origin}/auth/login?return_to=/shop/form`)
    await page.locator('button[value=ada]').click()
    await page.waitForURL(`${world.origin}/shop/form`)
    const token = await page.locator('#plain [name=csrf_token]').inputValue()
    const answered = page.waitForResponse(`${world.origin}/shop/save`)
    await page.locator('#plain button').click()
    expect((await answered).status()).toBe(200)
    expect(String(world.upstream.last().body)).toBe(`csrf_token=${token}&note=%C3%A9+%26+%C3%BC`)

    await page.goto(`${world.origin}/shop/form`)
    const file = randomBytes(3_000_000)
    await page.locator('[type=file]').setInputFiles({ name: 'a "b".bin', mimeType: 'application/x-b', buffer: file })
    const uploaded = page.waitForResponse(`${world.origin}/shop/save`)
    await page.locator('#file button').click()
    expect((await uploaded).status()).toBe(200)
    const { body } = world.upstream.last()
    expect([body.includes(file), body.length]).toEqual([true, Number(world.upstream.last().header('content-length'))])

    const { length } = world.upstream.requests
    // Another port of the same host is the same site: there the browser sends the cookie along.
    for (const host of ['127.0.0.1', 'localhost']) {
      for (const form of ['#plain', '#file']) {
        await page.goto(`http://${host}:${port}/?token=${token}`)
        const refused = page.waitForResponse(`${world.origin}/shop/save`)
        await page.locator(`${form} button`).click()
        expect([host, form, (await refused).status()]).toEqual([host, form, 403])
      }
    }
    expect(world.upstream.requests).toHaveLength(length)
  } finally {
    await context.close()
    await closeServer(elsewhere)
  }
})
