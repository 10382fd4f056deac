/** What the route map says of a path and a method. */
export type RouteMatch<Route> =
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'method-not-allowed'; readonly allow: string }
  | undefined

/** The part of a route that decides which requests it serves. */
export interface Routable {
  /** `/a/b`, or `/a/*` for all below it. */
  readonly path: string
  /** All but TRACE and CONNECT when absent. */
  readonly methods?: readonly string[] | undefined
}

/**
 * Looks the most specific path up first, then the method: an exact path before a wildcard, a longer wildcard before a
 * shorter one. A method that the most specific path doesn't list is refused there; it never falls through to a wider,
 * perhaps weaker, rule. What no route names does not exist. @see ASVS 5.0 8.2.1 (deny by default)
 */
export function createRouteMap<Route extends Routable>(
  routes: readonly Route[],
): (path: string, method: string) => RouteMatch<Route> {
  const exact = new Map<string, Map<string, Route>>()
  const wild = new Map<string, Map<string, Route>>()
  const allowed = new Map<Map<string, Route>, string>()

  for (const route of routes) {
    const isWild = route.path.endsWith('/*')
    const table = isWild ? wild : exact
    const key = isWild ? route.path.slice(0, -2) : route.path
    const methods = table.get(key) ?? new Map<string, Route>()
    table.set(key, methods)
    for (const method of route.methods ?? [anyMethod]) methods.set(method, route)
    // HEAD is GET without the body. @see RFC 9110 §9.3.2
    if (route.methods?.includes('GET') && !methods.has('HEAD')) methods.set('HEAD', route)
    allowed.set(methods, [...methods.keys()].filter((method) => method !== webSocket).join(', '))
  }

  function choose(methods: Map<string, Route>, method: string): RouteMatch<Route> {
    const route = methods.get(method) ?? methods.get(anyMethod)
    return route ? { kind: 'route', route } : { kind: 'method-not-allowed', allow: allowed.get(methods) ?? '' }
  }

  return (path, method) => {
    const found = exact.get(path)
    if (found) return choose(found, method)
    // `/a/*` serves `/a` as well.
    for (let end = path.length; end >= 0; end = end === 0 ? -1 : path.lastIndexOf('/', end - 1)) {
      const methods = wild.get(path.slice(0, end))
      if (methods) return choose(methods, method)
    }
    return undefined
  }
}

/** Stands for a method where a WebSocket is asked for: it has routes of its own, beside those of requests. */
export const webSocket = 'websocket'

/** TRACE and CONNECT are refused before the map is asked. */
const anyMethod = '*'
