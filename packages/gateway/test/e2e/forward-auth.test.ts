/// <reference lib="dom" />
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { launchChromium } from '../../../testkit/src/chromium.ts'
import type { ConfigInput } from '../../../testkit/src/config.ts'
import { closeServer, listen, reservePort } from '../../../testkit/src/listen.ts'
import { ensureProxy, exampleFolder, startProxy } from '../../../testkit/src/proxies.ts'
import { createWorld } from '../../../testkit/src/world.ts'

/*
 * A real Chromium, and a proxy that passes the gateway's 401 on with its body: the page in it must lead to sign-in and back
 * by itself, and show the Strict cookie after a link from another site.
 */
let chromium: Browser
beforeAll(async () => {
  ensureProxy('caddy', console.log)
  chromium = await launchChromium()
}, 300_000)
afterAll(() => chromium.close())

test('CK5 forward-auth behind Caddy: a page opened first leads through sign-in and back; so does a link on another site, at once', async () => {
  const example = parse(readFileSync(join(exampleFolder, 'coatcheck.yaml'), 'utf8')) as Record<string, ConfigInput>
  const gateway = await reservePort()
  const { routes, roles, trustedProxies } = example
  await using world = await createWorld({
    config: { listen: { host: '127.0.0.1', port: gateway }, routes, roles, trustedProxies },
  })
  world.upstream.on('/report', ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<script src="/files.js"></script><h1>Report</h1>')
  })
  world.upstream.on('/files.js', ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/javascript' }).end('window.loaded = true')
  })
  const proxy = Number(new URL(world.origin).port)
  await using _ = await startProxy('caddy', { proxy, gateway, application: world.upstream.port })
  const context = await chromium.newContext()
  const page = await context.newPage()
  await page.goto(`${world.origin}/report`)
  await page.locator('button[value=ada]').click()
  await page.waitForSelector('h1:has-text("Report")')
  expect(page.url()).toBe(`${world.origin}/report`)
  expect(await page.evaluate('window.loaded')).toBe(true)
  expect(world.upstream.last().header('x-coatcheck-user')).toBe('ada')
  expect(world.provider.authorizations).toHaveLength(1)

  const elsewhere = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<a href="${world.origin}/report?again">in</a>`)
  })
  const port = await listen(elsewhere)
  await page.goto(`http://localhost:${port}/`)
  await page.click('a')
  await page.waitForSelector('h1:has-text("Report")')
  expect(page.url()).toBe(`${world.origin}/report?again`)
  expect(world.provider.authorizations).toHaveLength(1)
  await closeServer(elsewhere)
  await context.close()
})
