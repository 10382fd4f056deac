// A scripted browser. On node:http, because fetch would send `Sec-Fetch-Mode: cors` and no gateway signs that in.
import { Agent, request } from 'node:http'

const usual = new Agent({ keepAlive: true, maxSockets: 64 })

/** One request; resolves to status, headers and the whole body as text. */
export function fetchText(url, { method = 'GET', headers = {}, body, agent = usual } = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece) => {
        text += piece
      })
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
      answer.on('error', reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

const NAVIGATION = {
  accept: 'text/html,application/xhtml+xml',
  'sec-fetch-dest': 'document',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-site': 'none',
  'sec-fetch-user': '?1',
}

/**
 * Opens `url` as a top-level navigation, follows every redirect (and the gateway's same-site bounce page), keeps the
 * cookies of each origin apart, and answers the `Cookie` header for the origin where it began.
 */
export async function signIn(url) {
  const jars = new Map()
  const jar = (origin) => jars.get(origin) ?? jars.set(origin, new Map()).get(origin)
  const home = new URL(url).origin
  let next = new URL(url)
  for (let hop = 0; hop < 20; hop += 1) {
    const cookies = jar(next.origin)
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetchText(next, { headers: { ...NAVIGATION, ...(cookie ? { cookie } : {}) } })
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
      if (value === '' || /max-age=0|expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    const target = answer.headers.location ?? answer.headers.refresh?.replace(/^\d+;\s*url=/i, '')
    if (target === undefined) {
      // Where it leads back to need not exist: these servers have an API and no pages.
      if (next.origin !== home || (answer.status >= 400 && answer.status !== 404)) {
        throw new Error(`sign-in ended at ${next.pathname} with ${answer.status}`)
      }
      return [...jar(home)].map(([name, value]) => `${name}=${value}`).join('; ')
    }
    next = new URL(target, next)
  }
  throw new Error('sign-in went round in circles')
}
