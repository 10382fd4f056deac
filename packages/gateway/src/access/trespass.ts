import { isDeepStrictEqual } from 'node:util'
import type { RouteConfig } from '../config/schema.ts'

/** Whether a request that a route would forward lands, at its upstream, where a stricter route stands guard. */
export type Trespasses = (path: string, method: string) => boolean

/**
 * A route guards what its path means to the upstream, and two spellings can mean one thing there: most frameworks take
 * `/api/Admin` and `/api/admin/` for `/api/admin`, Windows `/api/admin.` too, and with `stripPrefix: /api` the wider route
 * turns `/api/api/admin` into it. Such a path matches a wider, weaker rule by its letters and reaches the stricter one's
 * place. So the path is looked up once more as the upstream may read it, among the routes to the same upstream; if a more
 * specific one is there that asks for more, the request is refused. @see ASVS 5.0 8.2.1 · BCP OAuth browser-based apps §6.1.3.6
 */
export function createTrespasses(own: RouteConfig, routes: readonly RouteConfig[]): Trespasses {
  const neighbours = routes.filter((other) => sharesUpstream(own, other))
  const home = placeOf(own)
  if (neighbours.every((other) => placeOf(other) === home || (other.methods === undefined && covers(own, other))))
    return () => false
  const strip = own.stripPrefix?.length ?? 0
  const places = new Map<string, RouteConfig[]>()
  for (const other of neighbours) places.set(placeOf(other), [...(places.get(placeOf(other)) ?? []), other])
  // Where all paths are cut alike, one in its plainest spelling was looked up among the routes already.
  const alike = neighbours.every(({ stripPrefix = '' }) => stripPrefix === (own.stripPrefix ?? ''))

  return (path, method) => {
    if (alike && !AMBIGUOUS.test(path)) return false
    const place = mostSpecific(places, plainest(path.slice(strip) || '/'))
    if (place === undefined || place === home) return false
    return !places.get(place)?.some((other) => serves(other, method) && covers(own, other))
  }
}

/**
 * Routes that the proxy in front carries out (`forwardAuth`) have one upstream together: its own. A WebSocket begins as a
 * request to the same server, which answers it as one if it likes.
 */
function sharesUpstream(own: RouteConfig, other: RouteConfig): boolean {
  if (own.addresses.length === 0)
    return own.forwardAuth === true && other.forwardAuth === true && other.upstream === undefined
  const servers = own.addresses.map(serverOf)
  return other.addresses.some((address) => servers.includes(serverOf(address)))
}

function serverOf(address: string): string {
  return address.replace(/^ws/, 'http')
}

/** A path that may have a plainer spelling; most have none. */
const AMBIGUOUS = /[A-Z]|\/$|\.(?:\/|$)|%20(?:\/|$)/

/** As the most forgiving upstream reads it: letter case, a last slash, and dots and blanks at a segment's end don't count. */
function plainest(path: string): string {
  if (!AMBIGUOUS.test(path)) return path
  const segments = path.toLowerCase().split('/').map(withoutTail)
  if (segments.length > 2 && segments.at(-1) === '') segments.pop()
  return segments.join('/')
}

function withoutTail(segment: string): string {
  let end = segment.length
  for (let tail = 1; tail > 0; end -= tail) {
    tail = segment[end - 1] === '.' ? 1 : end >= 3 && segment.startsWith('%20', end - 3) ? 3 : 0
  }
  return segment.slice(0, end)
}

/** A route's path as its upstream knows it: `/admin` or `/admin/*`. */
function placeOf({ path, stripPrefix = '' }: RouteConfig): string {
  const wild = path.endsWith('/*')
  const place = plainest((wild ? path.slice(0, -2) : path).slice(stripPrefix.length) || '/')
  return wild ? `${place === '/' ? '' : place}/*` : place
}

function mostSpecific(places: ReadonlyMap<string, unknown>, path: string): string | undefined {
  if (places.has(path)) return path
  for (let end = path.length; end >= 0; end = end === 0 ? -1 : path.lastIndexOf('/', end - 1)) {
    const place = `${path.slice(0, end)}/*`
    if (places.has(place)) return place
  }
  return undefined
}

function serves({ methods }: RouteConfig, method: string): boolean {
  return methods === undefined || methods.includes(method) || (method === 'HEAD' && methods.includes('GET'))
}

/** Whoever `own` admits, `other` would admit as well. */
function covers(own: RouteConfig, other: RouteConfig): boolean {
  if (!guards[own.csrf].includes(other.csrf)) return false
  if (other.access === 'public') return true
  if (own.access === 'public') return false
  if (typeof other.access !== 'object') return true
  const { roles, acr, maxAge, mode: _, ...theirs } = other.access
  const {
    roles: myRoles,
    acr: myAcr,
    maxAge: myMaxAge,
    mode,
    ...mine
  } = own.access === 'authenticated' ? {} : own.access
  // What is only tried out keeps nobody out.
  if (mode === 'report') return false
  return (
    within(myRoles, roles) &&
    within(myAcr, acr) &&
    (maxAge === undefined || (myMaxAge !== undefined && myMaxAge <= maxAge)) &&
    Object.entries(theirs).every(([key, demand]) => isDeepStrictEqual(demand, mine[key as keyof typeof mine]))
  )
}

/**
 * What lets a request through here would let it through there too. A token is more than the header where something changes,
 * and less where a page is opened: neither stands for the other.
 */
const guards: Readonly<Record<RouteConfig['csrf'], readonly RouteConfig['csrf'][]>> = {
  off: ['off'],
  'same-origin': ['off', 'same-origin'],
  header: ['off', 'same-origin', 'header'],
  token: ['off', 'same-origin', 'token'],
}

function within(mine: readonly string[] | undefined, theirs: readonly string[] | undefined): boolean {
  return theirs === undefined || (mine?.every((one) => theirs.includes(one)) ?? false)
}
