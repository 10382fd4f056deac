/// <reference lib="dom" />
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import selfsigned from 'selfsigned'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchChromium } from '../../../testkit/src/chromium.ts'
import { createWorld } from '../../../testkit/src/world.ts'

/* The policy of a page in a real Chromium: what was deployed runs, what was injected does not, and is told. */
const { cert, private: key } = await selfsigned.generate([{ name: 'commonName', value: '127.0.0.1' }], {
  keyType: 'ec',
})
let chromium: Browser
beforeAll(async () => {
  // Reports are else collected for a minute.
  chromium = await launchChromium({ args: ['--short-reporting-delay', '--ignore-certificate-errors'] })
})
afterAll(() => chromium.close())

const page = `<!doctype html><meta charset="utf-8"><title>App</title>
<link rel="stylesheet" href="/app.css"><style>h1 { color: rgb(1, 2, 3) }</style>
<h1>é</h1><p id="target"></p>
<script>document.title = 'inline ran'</script>
<script type="module" src="/app.js"></script>
`

const tls = { tls: { cert: 'tls.crt', key: 'tls.key' } }

const site = (scheme: 'http' | 'https') =>
  createWorld({
    config: ({ origin }) => ({
      headers: { csp: "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'", cspReports: true },
      ...(scheme === 'https' && { origin: origin.replace('http:', 'https:'), listen: tls }),
    }),
    beforeStart({ folder }) {
      for (const [name, text] of Object.entries({
        'public/index.html': page,
        'public/app.css': '#target { color: rgb(4, 5, 6) }',
        'public/app.js': "document.body.dataset.ready = 'yes'",
        'tls.crt': cert,
        'tls.key': key,
      }))
        writeFileSync(join(folder, name), text)
    },
  })

/** `stale`: the nonce of another answer, which whoever reads a page has. */
const attack = (stale: string) => {
  const script = document.createElement('div')
  script.innerHTML = '<img src="x" onerror="window.stolen = 1">'
  document.body.append(script)
  const inline = document.createElement('script')
  inline.textContent = 'window.stolen = 2'
  document.body.append(inline)
  const reused = document.createElement('script')
  reused.setAttribute('nonce', stale)
  reused.textContent = 'window.stolen = 3'
  document.body.append(reused)
  return new Promise((resolve) => setTimeout(() => resolve((window as { stolen?: number }).stolen ?? 'nothing'), 300))
}

test.each(['http', 'https'] as const)(
  'SH1 over %s: inline scripts and styles of the file run by their nonce, injected ones do not, and the log tells of them without a query',
  async (scheme) => {
    await using world = await site(scheme)
    const { origin } = world.config
    const context = await chromium.newContext()
    try {
      const window = await context.newPage()
      await window.goto(`${origin}/orders?code=secret-code#secret-fragment`)
      await window.waitForSelector('[data-ready=yes]')
      expect(await window.title()).toBe('inline ran')
      expect(await window.locator('h1').evaluate((node) => getComputedStyle(node).color)).toBe('rgb(1, 2, 3)')
      expect(await window.locator('#target').evaluate((node) => getComputedStyle(node).color)).toBe('rgb(4, 5, 6)')
      const another = await (await context.request.get(`${origin}/`, { ignoreHTTPSErrors: true })).text()
      expect(await window.evaluate(attack, String(/nonce="([^"]+)"/.exec(another)?.[1]))).toBe('nothing')
      expect(another).toContain('nonce="')
      // No selector of CSS reads a nonce out of the page.
      expect(await window.locator('script').first().getAttribute('nonce')).toBe('')
      const violations = () => world.log.events('csp_violation')
      await expect.poll(() => violations().length, { timeout: 15_000 }).toBeGreaterThanOrEqual(3)
      const [first] = violations()
      expect(first).toMatchObject({ blocked: expect.any(String), page: `${origin}/orders`, disposition: 'enforce' })
      expect(violations().map(({ directive }) => directive)).toContain('script-src-elem')
      expect(JSON.stringify(world.log.lines)).not.toMatch(/secret-code|secret-fragment/)
    } finally {
      await context.close()
    }
  },
)
