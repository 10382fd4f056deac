import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const guide = readFileSync(new URL('../../../../docs/getting-started.md', import.meta.url), 'utf8')
const code = /```js\nexport (async function api.*?)```/s.exec(guide)?.[1]

type Api = (path: string) => Promise<Response>

/** The helper that the guide shows, in a page whose calls are answered by `answer`. */
function page(answer: Response) {
  const visited: unknown[] = []
  const make = new Function('fetch', 'location', `${code}; return api`)
  const api: Api = make(async () => answer, { assign: (url: unknown) => visited.push(url) })
  return { api, visited }
}

const refusal = (type: string, body: string) => new Response(body, { status: 401, headers: { 'content-type': type } })

test.each([
  ['login_required', '{"code":"login_required","loginUrl":"/auth/login?return_to=%2F"}', '/auth/login?return_to=%2F'],
  ['step_up_required', '{"code":"step_up_required","stepUpUrl":"/auth/step-up?acr=mfa"}', '/auth/step-up?acr=mfa'],
])('the helper of the guide leads the window on at %s', async (_, body, address) => {
  const { api, visited } = page(refusal('application/problem+json', body))
  await api('/api/orders')
  expect(visited).toEqual([address])
})

test.each([
  ['application/json', '{"error":"invalid_token"}'],
  ['text/plain', 'no'],
])(
  'the helper of the guide leads nowhere at a 401 of the API itself (%s), and the caller can read it',
  async (type, body) => {
    const { api, visited } = page(refusal(type, body))
    const answer = await api('/api/orders')
    expect(visited).toEqual([])
    expect(await answer.text()).toBe(body)
  },
)
