import { describe, expect, test } from 'vitest'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { roleArn } from '../../../testkit/src/cognito.ts'
import { createAwsWorld } from './aws-world.ts'
import { beginPost } from './slow-post.ts'

const minute = 60_000
const count = ({ cognito }: { cognito: { identityPool: { faults: { count(name: string): number } } } }) => ({
  ids: cognito.identityPool.faults.count('GetId'),
  credentials: cognito.identityPool.faults.count('GetCredentialsForIdentity'),
})

describe('a call is signed with the role of the user', () => {
  test('PX7 the group of a user becomes a role, and the verifier of AWS agrees', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const answer = await browser.fetch('/prod/items/a(b)/caf%C3%A9?q=a+b&z=2&z=1&acl')
    expect(answer.status, answer.text).toBe(200)
    expect(answer.json()).toMatchObject({ service: 'execute-api', roleArn: roleArn('admin') })
    const [call] = given.cognito.aws('execute-api').accepted
    expect(call?.target).toBe('/prod/items/a(b)/caf%C3%A9?q=a%20b&z=2&z=1&acl')
    const bob = await given.signIn({ as: 'bob', browser: 'bob', query: '&idp=Okta' })
    expect((await bob.browser.fetch('/prod/items')).json()).toMatchObject({ roleArn: roleArn('users') })
  })

  test('PX7 bodies: hashed for API Gateway, streamed to S3, and too large is 413', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const post = await browser.fetch('/prod/items', {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json' },
    })
    expect(post.status, post.text).toBe(200)
    expect(given.cognito.aws('execute-api').accepted.at(-1)?.body.toString()).toBe('{"a":1}')
    const put = await browser.fetch('/bucket/a(1)/b+c', { method: 'PUT', body: 'x'.repeat(100_000) })
    expect(put.status, put.text).toBe(200)
    const stored = given.cognito.aws('s3').accepted.at(-1)
    expect([stored?.target, stored?.body.length]).toEqual(['/bucket/a%281%29/b%2Bc', 100_000])
    const large = await browser.fetch('/prod/items', { method: 'POST', body: 'x'.repeat(10 * 1024 * 1024 + 1) })
    expect([large.status, large.json().code]).toEqual([413, 'payload_too_large'])
  })

  test('PX7 user 2 never gets the identity of user 1, at the same time and over the same connections', async () => {
    await using given = await createAwsWorld()
    const users = await Promise.all(['ada', 'bob'].map((as) => given.signIn({ as, browser: as, query: '&idp=Okta' })))
    const identities = await Promise.all(
      users.map(async ({ browser }) => {
        const answers = await Promise.all(Array.from({ length: 20 }, () => browser.fetch('/prod/me')))
        return new Set(answers.map((answer) => answer.json<{ identityId: string }>().identityId))
      }),
    )
    expect(identities.map((ids) => ids.size)).toEqual([1, 1])
    expect([...(identities[0] ?? [])]).not.toEqual([...(identities[1] ?? [])])
    expect(count(given)).toEqual({ ids: 2, credentials: 2 })
  })

  test('PX7 a thousand calls at once cost one GetId and one GetCredentialsForIdentity', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const answers = await Promise.all(Array.from({ length: 1000 }, () => browser.fetch('/prod/me')))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(count(given)).toEqual({ ids: 1, credentials: 1 })
  })

  test('PX7 renewed five minutes ahead of their end, behind a request; the identity stays', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    await browser.fetch('/prod/me')
    given.world.clock.advance(20 * minute)
    await browser.fetch('/prod/me')
    given.world.clock.advance(20 * minute)
    await browser.fetch('/prod/me')
    expect(count(given)).toEqual({ ids: 1, credentials: 1 })
    given.world.clock.advance(16 * minute)
    expect((await browser.fetch('/prod/me')).status).toBe(200)
    await expect.poll(() => count(given)).toEqual({ ids: 1, credentials: 2 })
  })

  test('PX7 the role of the route, if the token lists it; else 403', async () => {
    await using given = await createAwsWorld({ aws: { roleArn: roleArn('users') } })
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    expect((await browser.fetch('/prod/me')).json()).toMatchObject({ roleArn: roleArn('users') })
    const carol = await given.signIn({ as: 'carol', browser: 'carol', query: '&idp=Okta' })
    expect((await carol.browser.fetch('/prod/me')).json()).toMatchObject({ code: 'access_denied' })
  })

  test('PX7 basic flow: STS gives the role of the token; one that the token does not list never reaches STS', async () => {
    await using given = await createAwsWorld({ pool: { flow: 'basic' } })
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const answer = await browser.fetch('/prod/me')
    expect(answer.json(), answer.text).toMatchObject({ roleArn: roleArn('admin') })
    expect(given.cognito.sts.faults.count('AssumeRoleWithWebIdentity')).toBe(1)
    await using other = await createAwsWorld({ pool: { flow: 'basic' }, aws: { roleArn: roleArn('authenticated') } })
    const ada = await other.signIn({ query: '&idp=Okta' })
    expect((await ada.browser.fetch('/prod/me')).json()).toMatchObject({ code: 'access_denied' })
    expect(other.cognito.sts.faults.count('AssumeRoleWithWebIdentity')).toBe(0)
  })
})

describe('what the client sends has no say', () => {
  test('PX7 x-amz-*, Authorization, cookies and X-Forwarded-* of the client never reach AWS', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const headers = {
      'x-amz-security-token': 'theirs',
      'X-Amz-Acl': 'public-read',
      'x-amz-copy-source': '/other/secret',
      authorization: 'AWS4-HMAC-SHA256 theirs',
      'x-forwarded-for': '192.0.2.1',
      'x-api-key': 'key',
    }
    expect((await browser.fetch('/bucket/key', { method: 'PUT', body: 'x', headers })).status).toBe(200)
    const sent = given.cognito.aws('s3').received.at(-1)
    const names = (sent?.rawHeaders ?? []).filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
    expect(names.filter((name) => name.startsWith('x-amz-')).sort()).toEqual([
      'x-amz-content-sha256',
      'x-amz-date',
      'x-amz-security-token',
    ])
    expect(names).toContain('x-api-key')
    expect(names.filter((name) => /^(cookie|origin|referer|x-forwarded|x-coatcheck|x-csrf|sec-)/.test(name))).toEqual(
      [],
    )
    expect(JSON.stringify(sent?.rawHeaders)).not.toMatch(/theirs|public-read|192\.0\.2\.1/)
  })

  test.each(['?X-Amz-Signature=1', '?x-amz-security-token=1', '?a=1&&b=2', '?a=%zz'])('%s is 400', async (query) => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    expect((await browser.fetch(`/prod/me${query}`)).status).toBe(400)
    expect(given.cognito.aws('execute-api').received).toEqual([])
  })
})

describe('when it does not work', () => {
  test('no role: 403 with the reason of the pool in the log, and no storm', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ as: 'carol', query: '&idp=Okta' })
    for (let i = 0; i < 5; i++) {
      const answer = await browser.fetch('/prod/me')
      expect([answer.status, answer.json().code]).toEqual([403, 'access_denied'])
    }
    expect(given.world.log.text()).toContain('no role could be determined')
    expect(count(given)).toEqual({ ids: 1, credentials: 1 })
  })

  test('the pool is throttled or down: 503 with Retry-After, and nobody is signed out', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const undo = given.cognito.identityPool.faults.throttle()
    const busy = await browser.fetch('/prod/me')
    expect([busy.status, busy.json().code, busy.header('retry-after')]).toEqual([503, 'provider_unavailable', '5'])
    undo()
    const restore = given.cognito.identityPool.faults.add({ kind: 'fail', status: 500 })
    expect((await browser.fetch('/prod/me')).status).toBe(503)
    restore()
    expect((await browser.fetch('/prod/me')).status).toBe(200)
  })

  test('a clock that is off: signed once more by the Date of the answer, and at once from then on', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const api = given.cognito.aws('execute-api')
    api.faults.skew = 10 * minute
    expect((await browser.fetch('/prod/me')).status).toBe(200)
    expect(api.received.length).toBe(2)
    expect((await browser.fetch('/prod/me', { method: 'POST', body: 'x' })).status).toBe(200)
    expect(api.received.length).toBe(3)
  })

  test('credentials that AWS calls expired are renewed, and what is harmless is sent once more, body and all', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const api = given.cognito.aws('execute-api')
    await browser.fetch('/prod/me')
    given.cognito.credentials.expireAll()
    expect((await browser.fetch('/prod/me', { method: 'PUT', body: 'again' })).status).toBe(200)
    expect(api.accepted.at(-1)?.body.toString()).toBe('again')
    expect(count(given)).toEqual({ ids: 1, credentials: 2 })
    given.cognito.credentials.expireAll()
    const post = await browser.fetch('/prod/me', { method: 'POST', body: 'x' })
    expect([post.status, post.json().code]).toEqual([502, 'signature_refused'])
    given.cognito.credentials.revokeAll()
    const revoked = await browser.fetch('/prod/me')
    expect([revoked.status, revoked.json().code]).toEqual([502, 'signature_refused'])
  })

  test('PX3 an error of S3, which may quote the session token, is told in our own words', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    await browser.fetch('/bucket/key')
    const [{ sessionToken, accessKeyId } = { sessionToken: '', accessKeyId: '' }] = given.cognito.credentials.minted
    const headers = { 'content-type': 'application/xml' }
    const message = `<Token-0>${sessionToken}</Token-0><AWSAccessKeyId>${accessKeyId}</AWSAccessKeyId>`
    given.cognito
      .aws('s3')
      .faults.add({ kind: 'fail', status: 400, code: 'InvalidToken', message, headers }, { times: 1 })
    expect((await browser.fetch('/bucket/key')).json()).toMatchObject({ code: 'signature_refused' })
    given.cognito.aws('s3').faults.add({ kind: 'fail', status: 403, code: 'SignatureDoesNotMatch', message, headers })
    expect((await browser.fetch('/bucket/key')).json()).toMatchObject({ code: 'access_denied' })
  })

  test('PX3 a refusal of API Gateway that quotes the canonical string, and the session token in it, is told in our own words', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const { faults } = given.cognito.aws('execute-api')
    faults.add({ kind: 'fail', status: 404 }, { times: 1 })
    await browser.fetch('/prod/me')
    const [{ sessionToken, accessKeyId } = { sessionToken: '', accessKeyId: '' }] = given.cognito.credentials.minted
    const headers = { 'x-amzn-errortype': '' }
    const message = `The Canonical String for this request should have been 'GET\n/prod/me\n\nx-amz-security-token:${sessionToken}\n'`
    for (const status of [400, 403]) {
      faults.add({ kind: 'fail', status, message, headers }, { times: 1 })
      const answer = await browser.fetch('/prod/me')
      expect([answer.status, answer.json().code]).toEqual([502, 'signature_refused'])
    }
    expect(findLeaks(browser.seen, [sessionToken, accessKeyId])).toEqual([])
  })

  test('an error of the API itself goes on as it is, however long, and whole', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    const { faults } = given.cognito.aws('execute-api')
    for (const length of [0, 20, 300_000]) {
      faults.add(
        {
          kind: 'fail',
          status: 400,
          code: 'Invalid',
          message: 'x'.repeat(length),
          headers: { 'x-amzn-errortype': '' },
        },
        { times: 1 },
      )
      const answer = await browser.fetch('/prod/me')
      expect([answer.status, answer.json<{ message: string }>().message.length]).toEqual([400, length])
    }
    faults.add(
      { kind: 'fail', status: 403, code: 'AccessDeniedException', message: 'User is not authorized' },
      { times: 1 },
    )
    expect((await browser.fetch('/prod/me')).json()).toMatchObject({ message: 'User is not authorized' })
    expect((await browser.fetch('/prod/me')).status).toBe(200)
  })

  test('PX7 after sign-out nothing is signed: the old cookie gets 401, a new sign-in new credentials', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    await browser.fetch('/prod/me')
    const thief = browser.saved()
    expect((await browser.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
    for (const one of [browser, thief]) expect((await one.fetch('/prod/me')).status).toBe(401)
    expect(given.cognito.aws('execute-api').received.length).toBe(1)
    const next = await given.signIn({ browser: 'next', query: '&idp=Okta' })
    expect((await next.browser.fetch('/prod/me')).status).toBe(200)
    expect(count(given)).toEqual({ ids: 1, credentials: 2 })
  })

  test('PX3 LG2 canaries: no secret of AWS is in the log', async () => {
    await using given = await createAwsWorld()
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    await browser.fetch('/prod/me')
    const { minted } = given.cognito.credentials
    expect(minted.length).toBe(1)
    for (const one of minted) {
      for (const secret of [one.accessKeyId, one.secretAccessKey, one.sessionToken]) {
        expect(given.world.log.text()).not.toContain(secret)
      }
      expect(findLeaks(browser.seen, [one.secretAccessKey])).toEqual([])
    }
  })
})

test('PX7 a session that runs idle while the body comes: nothing is signed, and nobody waits for the rest', async () => {
  await using given = await createAwsWorld()
  const { browser } = await given.signIn({ query: '&idp=Okta' })
  expect((await browser.fetch('/prod/me')).status).toBe(200)
  const api = given.cognito.aws('execute-api')
  const signed = api.received.length
  const post = await beginPost(browser, '/prod/me', {})
  await new Promise((resolve) => setTimeout(resolve, 700))
  given.world.clock.advance(31 * 60_000)
  expect(await post.answer()).toMatchObject({ status: 401, text: expect.stringContaining('session_expired') })
  expect(api.received.length).toBe(signed)
})
