import { isIP } from 'node:net'
import { z } from 'zod'

/** Where things are: origins, issuers, upstreams, hosts, networks. Messages show scheme, host and port only: a URL may carry a password. */

const loopbackHosts: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** The browser-visible origin, exactly as browsers send it in `Origin`. Plain http only where Secure cookies work: on loopback. */
export function origin(example = 'https://app.example.com') {
  return address('origin', example, (url, text) => {
    if (url.protocol === 'http:' && !loopbackHosts.has(url.hostname)) {
      return `plain http works for localhost, 127.0.0.1 and [::1] only; write https://${url.host}`
    }
    return text === url.origin ? undefined : `write scheme, host and port only: ${url.origin}`
  })
}

/** An issuer is compared byte for byte with the provider's metadata, so it is kept as written. @see OpenID Connect Discovery §3 */
export function issuer() {
  return address('issuer URL', 'https://idp.example.com', (url, text) => {
    if (url.protocol === 'http:' && !loopbackHosts.has(url.hostname)) {
      return 'plain http works for localhost, 127.0.0.1 and [::1] only; write the https address that the provider publishes as its issuer'
    }
    if (url.username !== '' || url.password !== '') return 'an issuer has no user name or password; remove them'
    return /[?#]/.test(text) ? 'an issuer has no query and no fragment; remove everything from ? or # on' : undefined
  })
}

/** An upstream is an origin too: the path comes from the request, by the route. */
export function upstream() {
  return address(
    'http(s) or ws(s) origin',
    'http://127.0.0.1:3000',
    (url, text) =>
      text === url.origin
        ? undefined
        : `write scheme, host and port only: ${url.origin} (stripPrefix changes the path)`,
    /^(?:https?|wss?):$/,
  )
}

/** An address of somebody's server that we call: as long as it is, over TLS. */
export function serverUrl() {
  return address('URL', 'https://idp.example.com/keys', (url) => {
    if (url.protocol === 'http:' && !loopbackHosts.has(url.hostname)) {
      return `plain http works for localhost, 127.0.0.1 and [::1] only; write https://${url.host}…`
    }
    if (url.username !== '' || url.password !== '')
      return 'a name or password does not stand in an address; remove them'
    return url.hash === '' ? undefined : 'remove everything from # on'
  })
}

/** True for an upstream that speaks WebSocket. */
export function isWebSocket(upstream: string | undefined): boolean {
  return upstream?.startsWith('ws') === true
}

/** Who may open a WebSocket: an origin as browsers write it, or `none` for clients that send no Origin. */
export function handshakeOrigin() {
  return z.union([z.literal('none'), origin()], {
    error: 'write an origin such as https://app.example.com, or none for clients that send no Origin',
  })
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** What to listen on: an IP address or a host name. */
export function host() {
  return z
    .string()
    .refine((text) => isIP(text) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})$/.test(text), {
      error: 'write an IP address or a host name, such as 127.0.0.1, 0.0.0.0 or ::',
    })
    .meta({ title: 'host' })
}

/** 0 lets the system choose a free port. */
export function port() {
  const error = 'write a port number from 0 (any free one) to 65535'
  return z.int({ error }).min(0, { error }).max(65535, { error }).meta({ title: 'port' })
}

/** `10.0.0.0/8`, `fd00::/8` or one address; always with its prefix length after parsing. */
export function network() {
  const expected = 'write a network such as 10.0.0.0/8 or fd00::/8, or one address'
  return z
    .string({ error: expected })
    .meta({ title: 'network' })
    .transform((text, ctx) => {
      const [, ip = '', length] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
      const bits = { 0: -1, 4: 32, 6: 128 }[isIP(ip)] ?? -1
      const prefix = length === undefined ? bits : Number(length)
      if (bits < 0 || prefix > bits) ctx.addIssue({ code: 'custom', message: expected })
      return `${ip}/${prefix}`
    })
}

function address(
  title: string,
  example: string,
  problem: (url: URL, text: string) => string | undefined,
  schemes = /^https?:$/,
) {
  const expected = `write it like ${example}`
  return z
    .string({ error: expected })
    .superRefine((text, ctx) => {
      const url = URL.canParse(text) && !/[\s\\]/.test(text) ? new URL(text) : undefined
      const usable = url && schemes.test(url.protocol) && /^([a-z0-9._-]+|\[[0-9a-f:.]+\])$/.test(url.hostname)
      const message = usable ? problem(url, text) : expected
      if (message !== undefined) ctx.addIssue({ code: 'custom', message })
    })
    .meta({ title, examples: [example] })
}
