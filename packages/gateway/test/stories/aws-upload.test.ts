import { describe, expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { createAwsWorld } from './aws-world.ts'
import type { CognitoWorld } from './cognito-world.ts'
import { beginPost } from './slow-post.ts'

interface Permission {
  readonly url: string
  readonly method: string
  readonly headers: Record<string, string>
  readonly key: string
  readonly expiresAt: string
}

const png = { size: 5, type: 'image/png', name: 'cat.png' }
const hello = 'hello'

const uploadWorld = (presign: object = {}) =>
  createAwsWorld({
    routes: ({ cognito: { aws, identityPool } }) => [
      {
        path: '/uploads',
        upstream: aws('s3').url,
        access: 'authenticated',
        credential: { aws: { service: 's3', region: identityPool.region } },
        presign: { key: 'uploads/{identityId}/{id}-{name}', types: ['image/*'], maxSize: '1mb', ...presign },
      },
    ],
  })

const ask = (browser: Browser, upload: object = png, options: object = {}) =>
  browser.fetch('/uploads', {
    method: 'POST',
    body: JSON.stringify(upload),
    headers: { 'content-type': 'application/json' },
    ...options,
  })

const put = ({ url, headers }: Permission, body: string = hello, more: Record<string, string> = {}) =>
  fetch(url, { method: 'PUT', headers: { ...headers, ...more }, body })

const objects = ({ cognito }: CognitoWorld) => [...cognito.aws('s3').objects].map(([path, bytes]) => [path, `${bytes}`])

describe('an upload goes to S3 itself', () => {
  test('PX7 the page asks for a permission and puts its file; the key is in the place of the user', async () => {
    await using given = await uploadWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const answer = await ask(browser)
    expect(answer.status, answer.text).toBe(200)
    expect(answer.header('cache-control')).toContain('no-store')
    const permission = answer.json<Permission>()
    expect(permission).toMatchObject({ method: 'PUT', headers: { 'content-type': 'image/png' } })
    expect(Date.parse(permission.expiresAt) - given.world.clock.now()).toBe(300_000)
    expect((await put(permission)).status).toBe(200)
    const { identityId } = given.cognito.aws('s3').accepted[0] ?? {}
    expect(permission.key).toMatch(new RegExp(`^uploads/${identityId}/[0-9a-f]{32}-cat\\.png$`))
    expect(objects(given)).toEqual([[`/${permission.key.replace(':', '%3A')}`, hello]])
    expect((await ask(browser)).json<Permission>().key).not.toBe(permission.key)
  })

  test('PX7 each user has a place of their own, and no page chooses another', async () => {
    await using given = await uploadWorld()
    const keys: string[] = []
    for (const as of ['ada', 'bob']) {
      const { browser } = await given.signIn({ as, browser: as, query: '&idp=Okta' })
      keys.push((await ask(browser)).json<Permission>().key.split('/')[1] ?? '')
      for (const name of ['../x', '..', 'a/b', 'a\\b', 'a\u0000b']) {
        expect((await ask(browser, { ...png, name })).status, name).toBe(400)
      }
    }
    expect(new Set(keys).size).toBe(2)
  })

  test('what is too large is 413; what is no size, no allowed type, or more than was asked is 400', async () => {
    await using given = await uploadWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const statusOf = async (upload: object) => (await ask(browser, upload)).status
    expect(await statusOf({ ...png, size: 1024 * 1024 + 1 })).toBe(413)
    const refused = [
      ...[-1, 1.5, '5', null].map((size) => ({ ...png, size })),
      ...['text/html', 'image/png; charset=utf-8', 'image/', 'IMAGE/PNG'].map((type) => ({ ...png, type })),
      { size: 5, type: 'image/png' },
      { ...png, key: 'other' },
    ]
    for (const upload of refused) expect(await statusOf(upload), JSON.stringify(upload)).toBe(400)
    expect(await statusOf({ ...png, size: 0 })).toBe(200)
  })
})

describe('what a permission does not allow', () => {
  test('PX7 another size, type, key, method or header, or later: S3 refuses', async () => {
    await using given = await uploadWorld({ expires: '1m' })
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const permission = (await ask(browser)).json<Permission>()
    const refused = async (answer: Promise<Response>) => expect([400, 403]).toContain((await answer).status)
    await refused(put(permission, 'longer than that'))
    await refused(put({ ...permission, headers: { 'content-type': 'text/html' } }))
    await refused(put({ ...permission, url: permission.url.replace('cat.png', 'dog.png') }))
    await refused(put({ ...permission, url: permission.url.replace('X-Amz-Expires=60', 'X-Amz-Expires=600') }))
    await refused(put(permission, hello, { 'x-amz-acl': 'public-read' }))
    await refused(fetch(permission.url))
    given.world.clock.advance(61_000)
    await refused(put(permission))
    expect(objects(given)).toEqual([])
  })

  test('PX7 CSRF, no session, another method, and after sign-out: no permission', async () => {
    await using given = await uploadWorld()
    expect((await ask(given.world.browser('nobody'))).status).toBe(401)
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    expect((await ask(browser, png, { csrf: false })).status).toBe(403)
    expect((await browser.fetch('/uploads')).status).toBe(405)
    const thief = browser.saved()
    await browser.fetch('/auth/logout', { method: 'POST' })
    expect((await ask(thief)).status).toBe(401)
  })

  test('PX7 a sign-out while the request for a permission comes: none is given any more', async () => {
    await using given = await uploadWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    expect((await ask(browser)).status).toBe(200)
    const asking = await beginPost(browser, '/uploads', { body: JSON.stringify(png), type: 'application/json' })
    await browser.saved().fetch('/auth/logout', { method: 'POST' })
    const answer = await asking.finish()
    expect([answer.status, answer.text.includes('X-Amz-Signature')]).toEqual([401, false])
  })

  test('never longer than the credentials: those that are nearly over are renewed first', async () => {
    await using given = await uploadWorld({ expires: '1h' })
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const { clock } = given.world
    await ask(browser)
    clock.advance(20 * 60_000)
    const [first] = given.cognito.credentials.minted
    const permission = (await ask(browser)).json<Permission>()
    expect(Date.parse(permission.expiresAt)).toBe(first?.expiresAt)
    expect(given.cognito.credentials.minted.length).toBe(1)
    expect((await put(permission)).status).toBe(200)
  })

  test('PX3 the secret key never comes to the page, nor to the log; the session token only with a permission', async () => {
    await using given = await uploadWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const permission = (await ask(browser)).json<Permission>()
    const [minted] = given.cognito.credentials.minted
    if (!minted) throw new Error('none')
    expect(new URL(permission.url).searchParams.get('X-Amz-Security-Token')).toBe(minted.sessionToken)
    expect(findLeaks(browser.seen, [minted.secretAccessKey])).toEqual([])
    for (const secret of [minted.accessKeyId, minted.secretAccessKey, minted.sessionToken]) {
      expect(given.world.log.text()).not.toContain(secret)
    }
    expect(given.world.log.text()).not.toContain('X-Amz-Signature')
    expect(given.world.log.text()).toContain('aws_upload_permitted')
  })
})
