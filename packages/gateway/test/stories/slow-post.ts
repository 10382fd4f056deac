import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Browser } from '../../../testkit/src/browser.ts'

/**
 * A POST by script whose body does not come yet: resolves when the gateway has let it in and waits for the body.
 * `at`: the address of the node that it goes to.
 */
export async function beginPost(
  browser: Browser,
  path: string,
  { at = browser.base, body = 'body', type = 'text/plain' },
) {
  const { host, origin } = new URL(browser.base)
  const cookie = browser
    .cookies()
    .map((one) => one.cookieString())
    .join('; ')
  const headers = {
    ...{ host, origin, cookie, 'x-csrf': '1', expect: '100-continue' },
    ...{ 'content-length': String(Buffer.byteLength(body)), 'content-type': type },
  }
  const sent = httpRequest(new URL(path, at), { method: 'POST', headers, agent: false })
  const answered = once(sent, 'response')
  const refused = answered.then(() => Promise.reject(new Error('refused before its body came')))
  sent.flushHeaders()
  await Promise.race([once(sent, 'continue'), refused])
  refused.catch(() => {})
  async function answer(): Promise<{ status: number; text: string }> {
    const [response] = (await answered) as [IncomingMessage]
    let text = ''
    for await (const piece of response.setEncoding('utf8')) text += piece
    return { status: response.statusCode ?? 0, text }
  }
  return {
    /** What is answered although the body never comes. */
    answer,
    /** The body comes. */
    finish(): Promise<{ status: number; text: string }> {
      sent.end(body)
      return answer()
    },
  }
}
