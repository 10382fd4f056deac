import { createServer, type IncomingHttpHeaders } from 'node:http'
import { closeServer, listen } from '../src/listen.ts'

/** Where a test sends a browser: `/hop` redirects, `/refresh` refreshes, `/form` and `/auto` hold forms, `/link` a link. */
export const hop = (to: string, code = 303) => `/hop?code=${code}&to=${encodeURIComponent(to)}`
export const leading = (page: 'refresh' | 'form' | 'auto' | 'link', to: string) =>
  `/${page}?to=${encodeURIComponent(to)}`
export const setting = (...cookies: string[]) =>
  `/set?${new URLSearchParams(cookies.map((cookie): [string, string] => ['cookie', cookie]))}`

/** One cookie of each SameSite kind. */
export const testCookies = [
  'strict=1; SameSite=Strict',
  'lax=1; SameSite=Lax',
  'none=1; SameSite=None; Secure',
  'plain=1',
].map((cookie) => `${cookie}; Path=/`)

export interface Arrived {
  readonly at: string
  readonly method: string
  readonly headers: IncomingHttpHeaders
  /** Names of the cookies, in order of arrival. */
  readonly cookies: string
  readonly site: string | undefined
}

export interface TwoSites {
  /** Of the same server, by address and by name: two sites to a browser. */
  readonly A: string
  readonly B: string
  last(): Arrived
  close(): Promise<void>
}

export async function startTwoSites(): Promise<TwoSites> {
  const seen: Arrived[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    if (url.pathname === '/favicon.ico') return response.end()
    const { method = '', headers } = request
    const names = (headers.cookie ?? '').split('; ').map((pair) => pair.split('=')[0])
    const site = headers['sec-fetch-site']?.toString()
    seen.push({ at: url.href, method, headers, cookies: names.filter(Boolean).join(' '), site })
    const to = url.searchParams.get('to') ?? ''
    const quoted = to.replaceAll('&', '&amp;')
    response.setHeader('content-type', 'text/html')
    switch (url.pathname) {
      case '/set':
        response.setHeader('set-cookie', url.searchParams.getAll('cookie'))
        return response.end()
      case '/hop':
        return response.writeHead(Number(url.searchParams.get('code') ?? 303), { location: to }).end()
      case '/refresh':
        return response.end(`<meta http-equiv="refresh" content="0; url=${quoted}">`)
      case '/form':
        return response.end(`<form method=post action="${quoted}"><input name=a value=b><button>Go</button></form>`)
      case '/auto':
        return response.end(`<form method=post action="${quoted}"></form><script>document.forms[0].submit()</script>`)
      case '/link':
        return response.end(`<a href="${quoted}">Go</a>`)
      default:
        return response.end('end')
    }
  })
  const port = await listen(server)
  return {
    A: `http://127.0.0.1:${port}`,
    B: `http://localhost:${port}`,
    last() {
      const last = seen.at(-1)
      if (!last) throw new Error('Nothing arrived.')
      return last
    },
    close: () => closeServer(server),
  }
}
