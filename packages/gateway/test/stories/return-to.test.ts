import { expect, test } from 'vitest'
import { rawRequest } from '../../../testkit/src/raw.ts'
import { createWorld } from '../../../testkit/src/world.ts'

/** What makes a redirect leave the site in some browser, proxy or parser, and what is no path of ours. */
const hostile = [
  'https://evil.example/',
  'http://evil.example',
  '//evil.example',
  '///evil.example',
  '////evil.example',
  '/\\evil.example',
  '\\/evil.example',
  '\\\\evil.example',
  '/\\/evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '\t//evil.example',
  ' //evil.example',
  '/%09/evil.example',
  '/%0a/evil.example',
  '/%0d%0aLocation:%20https://evil.example',
  '/ok\r\nLocation: https://evil.example',
  '/ok\r\n\r\n<script>alert(1)</script>',
  '/ok\r\nSet-Cookie: __Host-Http-session=planted',
  '/\0',
  '/%00',
  '/%2f/evil.example',
  '/%2f%2fevil.example',
  '/%5cevil.example',
  '/%5c%5cevil.example',
  '/%252f%252fevil.example',
  '/.//evil.example',
  '/..//evil.example',
  '/a/..//evil.example',
  '/a/../../x',
  '/%2e%2e//evil.example',
  '/;//evil.example',
  '//evil.example@app.example',
  '@evil.example',
  '.evil.example',
  ':80/x',
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'vbscript:x',
  'blob:x',
  'mailto:x@evil.example',
  'evil.example',
  'relative',
  '?x=1',
  '#x',
  '',
  ' ',
  '/\u2028/evil.example',
  '/\uff0fevil.example',
  '/\u3002evil',
  '／／evil.example',
  '/é',
  '/a b',
  '/ok#a#b',
  '/ok#a b',
  '/ok#\u202e',
  '/ok?a=é',
  `/${'a'.repeat(1024)}`,
  // The sign-in's own endpoints: to return there is a loop, or a sign-out of sorts.
  '/auth',
  '/auth/login',
  '/auth/login?return_to=//evil.example',
  '/auth/logout',
  '/auth/callback/corp?code=x',
  '/auth/step-up',
  '/auth/frontchannel-logout/corp',
]

test('OR1 no return_to leads off the site, or into the sign-in again: it lands on the start page', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  for (const returnTo of hostile) {
    const before = browser.seen.length
    const landing = await browser.signIn({ as: 'ada', returnTo })
    const name = JSON.stringify(returnTo)
    expect(landing.url, name).toBe(`${world.origin}/`)
    expect(landing.status, name).toBe(200)
    const exchanges = browser.seen.slice(before)
    const callback = exchanges.find(({ url }) => url.includes('/auth/callback/'))
    expect(callback?.status, name).toBe(303)
    // The header as it stood on the wire, and none beside it.
    const headers = callback?.rawHeaders ?? []
    expect(headers[headers.findIndex((header) => header.toLowerCase() === 'location') + 1], name).toBe('/')
    expect(
      headers.filter((header) => header.toLowerCase() === 'location'),
      name,
    ).toHaveLength(1)
    // What the user brought never reached the provider.
    expect(
      JSON.stringify(exchanges.filter(({ url }) => !url.startsWith(world.origin)).map(({ url }) => url)),
    ).not.toMatch(/evil\.example|return_to/)
  }
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

const good = [
  '/',
  '/welcome',
  '/deep/er/path/',
  '/search?q=a+b&page=2',
  '/search?q=%C3%A9&empty=&flag',
  '/search?next=https://other.example/&to=//x',
  '/app#/route/in/the/fragment?tab=2',
  '/app?x=1#section-3.1_(a)',
  '/caf%C3%A9/men%C3%BC',
  "/it's/fine,(really)!~*",
  '/a:b@c/d=e&f',
  '/authors',
  '/auth-less',
  `/long?${'x'.repeat(1000)}`,
  `/quotes?${'"'.repeat(900)}`,
]

test('OR1 a path of this site arrives exactly as it was asked for, with query and fragment', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  for (const returnTo of good) {
    const before = browser.seen.length
    await browser.signIn({ as: 'ada', returnTo })
    const callback = browser.seen.slice(before).find(({ url }) => url.includes('/auth/callback/'))
    const headers = callback?.rawHeaders ?? []
    expect(headers[headers.findIndex((header) => header.toLowerCase() === 'location') + 1]).toBe(returnTo)
    expect(browser.page?.url, returnTo).toBe(new URL(returnTo, world.origin).href)
  }
})

test('OR1 return_to at the callback counts for nothing: where to go was settled when the sign-in began', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada', returnTo: '/mine' })
  const landing = await browser.visit(`${callback}&return_to=/theirs`, { from: world.provider.issuer })
  expect(landing.url).toBe(`${world.origin}/mine`)
})

test('OR1 the page of a script that hears 401 is taken from this origin’s Referer only', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const loginUrl = async (referer: string) =>
    (await browser.fetch('/api/echo', { headers: { referer } })).json<{ loginUrl: string }>().loginUrl
  expect(await loginUrl(`${world.origin}/page?x=1`)).toBe('/auth/login?return_to=%2Fpage%3Fx%3D1')
  for (const referer of [
    'https://evil.example/x',
    `${world.origin}.evil.example/x`,
    `${world.origin}@evil.example/x`,
  ]) {
    expect(await loginUrl(referer), referer).toBe('/auth/login?return_to=%2F')
  }
  const landing = await browser.visit(await loginUrl(`${world.origin}//evil.example/x`), {
    from: world.origin,
    follow: false,
  })
  expect(landing.status).toBe(303)
  const page = await browser.signIn({ as: 'ada', returnTo: '//evil.example/x' })
  expect(page.url).toBe(`${world.origin}/`)
})

test('OR1 an anonymous visit to a protected page brings its own address along, and nothing of another site’s making', async () => {
  await using world = await createWorld({
    config: { routes: [{ path: '/*', static: './public', access: 'authenticated' }] },
  })
  const browser = world.browser()
  const page = await browser.visit('/deep?x=%2F%2Fevil.example&y=a+b', { from: world.origin, follow: false })
  expect(page.status).toBe(303)
  expect(page.header('location')).toBe(
    `/auth/login?return_to=${encodeURIComponent('/deep?x=%2F%2Fevil.example&y=a+b')}`,
  )
  const login = await browser.visit('/deep?x=%2F%2Fevil.example&y=a+b', { from: world.origin })
  const landing = await browser.submit(login, { button: 'ada' })
  expect(landing.url).toBe(`${world.origin}/deep?x=%2F%2Fevil.example&y=a+b`)
  // A path that is no path never gets as far as a sign-in.
  for (const target of ['//evil.example', '/%2f/evil.example', '/\\evil.example', '/a;b']) {
    const head = `GET ${target} HTTP/1.1\r\nHost: ${new URL(world.origin).host}\r\nAccept: text/html`
    const refused = await rawRequest(world.port, `${head}\r\nConnection: close\r\n\r\n`)
    expect(refused, target).toMatch(/^HTTP\/1\.1 400/)
    expect(refused, target).not.toMatch(/\r\nlocation:/i)
  }
})
