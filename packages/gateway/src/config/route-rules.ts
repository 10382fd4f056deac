import { isWebSocket } from './addresses.ts'
import type { Path, Review } from './review.ts'
import type { RouteConfig, Sections } from './schema.ts'
import { contains } from './surroundings.ts'

/** Rules of one route: what they read, where they point, what they refuse. */
const routeRules: readonly {
  readonly reads: readonly (keyof RouteConfig)[]
  readonly at: keyof RouteConfig
  readonly breaks: (route: RouteConfig) => boolean
  readonly message: string
}[] = [
  {
    reads: ['upstream', 'static', 'forwardAuth'],
    at: 'upstream',
    breaks: (route) => carriersOf(route) === 0,
    message:
      'is missing; write either upstream: http://host:port, static: ./folder or, where a proxy in front asks /auth/forward, forwardAuth: true',
  },
  {
    reads: ['upstream', 'static', 'forwardAuth'],
    at: 'static',
    breaks: (route) => route.static !== undefined && carriersOf(route) > 1,
    message: 'a route has either upstream or static or forwardAuth; remove the others',
  },
  {
    reads: ['upstream', 'static', 'forwardAuth'],
    at: 'forwardAuth',
    breaks: (route) => route.static === undefined && carriersOf(route) > 1,
    message: 'a route has either upstream or forwardAuth; remove one',
  },
  {
    reads: ['stripPrefix', 'forwardAuth'],
    at: 'stripPrefix',
    breaks: (route) => route.stripPrefix !== undefined && route.forwardAuth === true,
    message: 'the proxy that asks chooses the path for its upstream; remove it',
  },
  {
    reads: ['csrf', 'access'],
    at: 'csrf',
    breaks: (route) => route.csrf === 'off' && route.access !== 'public',
    message: 'off is only for access: public, or other sites could use the session; remove it',
  },
  {
    reads: ['csrf', 'access', 'static', 'upstream'],
    at: 'csrf',
    breaks: ({ csrf, access, static: folder, upstream }) =>
      csrf === 'token' && access === 'public' && folder === undefined && !isWebSocket(upstream),
    message: 'a token belongs to a session, and access: public needs none; write header, or access: authenticated',
  },
  {
    reads: ['csrf', 'static'],
    at: 'csrf',
    breaks: (route) => route.csrf === 'token' && route.static !== undefined,
    message: 'files change nothing when they are fetched, so no token is asked for; remove it',
  },
  {
    reads: ['csrf', 'upstream'],
    at: 'csrf',
    breaks: (route) => route.csrf === 'token' && isWebSocket(route.upstream),
    message: 'a WebSocket handshake can carry no token, and its Origin is looked at instead (origins); remove it',
  },
  {
    reads: ['csrf', 'forwardAuth'],
    at: 'csrf',
    breaks: (route) => route.csrf === 'same-origin' && route.forwardAuth !== true,
    message: 'same-origin is only for forwardAuth: true; write header',
  },
  {
    reads: ['credential'],
    at: 'credential',
    breaks: (route) => route.credential !== 'none' && route.static !== undefined,
    message: 'static files need no credential; remove it',
  },
  {
    reads: ['credential', 'access'],
    at: 'credential',
    breaks: (route) => route.credential !== 'none' && route.access === 'public' && route.static === undefined,
    message: 'access: public has no user whose token could be sent; write credential: none, or access: authenticated',
  },
  {
    reads: ['methods'],
    at: 'methods',
    breaks: ({ methods, static: folder }) =>
      folder !== undefined && methods?.some((name) => name !== 'GET' && name !== 'HEAD') === true,
    message: 'static files are served to GET and HEAD only; remove the others',
  },
  {
    reads: ['upstream', 'addresses'],
    at: 'upstream',
    breaks: ({ addresses }) => Array.isArray(addresses) && new Set(addresses).size !== addresses.length,
    message: 'names an address twice; remove one',
  },
  {
    reads: ['upstream', 'tls'],
    at: 'tls',
    breaks: ({ tls, addresses }) =>
      tls !== undefined && Array.isArray(addresses) && addresses.some((address) => !address.startsWith('https:')),
    message: 'is for https upstreams; write https:// in upstream, or remove it',
  },
  {
    reads: ['health'],
    at: 'health',
    breaks: ({ health }) => health !== undefined && health.timeout > health.interval,
    message: 'timeout is longer than interval; write less',
  },
  {
    reads: ['upstream', 'addresses'],
    at: 'upstream',
    breaks: ({ addresses }) => Array.isArray(addresses) && addresses.length > 1 && addresses.some(isWebSocket),
    message: 'a WebSocket route has one address; write one, or a route for each',
  },
  {
    reads: ['health', 'upstream'],
    at: 'health',
    breaks: ({ health, upstream }) => health !== undefined && isWebSocket(upstream),
    message: 'is for http upstreams; remove it',
  },
  {
    reads: ['connections', 'upstream'],
    at: 'connections',
    breaks: ({ connections, upstream }) => connections !== undefined && isWebSocket(upstream),
    message: 'is for http upstreams (each WebSocket has a connection of its own); remove it',
  },
  {
    reads: ['maxWaiting', 'upstream'],
    at: 'maxWaiting',
    breaks: ({ maxWaiting, upstream }) => maxWaiting !== undefined && isWebSocket(upstream),
    message: 'is for http upstreams (no WebSocket waits for a connection); remove it',
  },
  {
    reads: ['methods', 'upstream'],
    at: 'methods',
    breaks: ({ methods, upstream }) => isWebSocket(upstream) && methods?.some((name) => name !== 'GET') === true,
    message: 'a WebSocket begins with GET; remove the others',
  },
  {
    reads: ['origins', 'upstream', 'static'],
    at: 'origins',
    breaks: ({ origins, upstream }) => origins !== undefined && !isWebSocket(upstream),
    message: 'is for WebSockets, with upstream: ws://… or wss://…; remove it (calls of other sites are refused anyway)',
  },
  {
    reads: ['stripPrefix'],
    at: 'stripPrefix',
    breaks: (route) => route.stripPrefix !== undefined && route.static !== undefined,
    message: "static files are found below the route's path as it is; remove it",
  },
  {
    reads: ['stripPrefix', 'path'],
    at: 'stripPrefix',
    breaks: ({ stripPrefix, path }) =>
      stripPrefix !== undefined && path !== stripPrefix && !path.startsWith(`${stripPrefix}/`),
    message: "is not the beginning of this route's path",
  },
]

function carriersOf({ upstream, static: folder, forwardAuth }: RouteConfig): number {
  return [upstream, folder, forwardAuth].filter((one) => one !== undefined).length
}

/** Every route by itself, against the rest of the configuration, and against the routes before it. */
export function reviewRoutes(
  { routes, basePath, keys, store, trustedProxies }: Sections,
  { sound, problem }: Review,
): void {
  if (!Array.isArray(routes)) return
  routes.forEach((route, index) => {
    const at: Path = ['routes', index]
    for (const rule of routeRules) {
      if (sound(at, ...rule.reads) && rule.breaks(route)) problem([...at, rule.at], rule.message)
    }
    if (sound(at, 'path') && sound([], 'basePath') && `${route.path}/`.startsWith(`${basePath}/`)) {
      problem(
        [...at, 'path'],
        `lies within basePath (${basePath}), where the gateway answers itself; choose another path`,
      )
    }
    if (sound(at, 'forwardAuth') && sound([], 'trustedProxies') && route.forwardAuth && trustedProxies.length === 0) {
      problem([...at, 'forwardAuth'], 'nobody may ask: name the address of the proxy in front in trustedProxies')
    }
    if (sound(at, 'static') && route.static !== undefined) {
      const secrets = [
        sound([], 'keys') ? keys.file : '',
        sound([], 'store') && store.kind === 'lmdb' ? store.path : '',
      ]
      if (secrets.some((path) => path !== '' && contains(route.static ?? '', path))) {
        problem([...at, 'static'], 'this folder would publish the key ring or the session store; move them out of it')
      }
    }
    if (!sound(at, 'path', 'methods')) return
    const twin = routes.findIndex(
      (other, i) => i < index && sound(['routes', i], 'path', 'methods') && overlap(other, route),
    )
    if (twin !== -1)
      problem([...at, 'path'], `has the same path and method as routes[${twin}]`, ['routes', twin, 'path'])
  })
}

function overlap(one: RouteConfig, other: RouteConfig): boolean {
  // WebSockets and requests may share a path, as socket.io does.
  if (one.path !== other.path || isWebSocket(one.upstream) !== isWebSocket(other.upstream)) return false
  const [some, more] = [methodsOf(one), methodsOf(other)]
  return some === undefined || more === undefined || some.some((method) => more.includes(method))
}

/** Undefined: all. */
function methodsOf(route: RouteConfig): readonly string[] | undefined {
  return route.methods ?? (route.static === undefined ? undefined : ['GET', 'HEAD'])
}
