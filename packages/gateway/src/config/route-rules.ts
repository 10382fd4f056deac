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
    reads: ['upstream', 'static'],
    at: 'upstream',
    breaks: (route) => route.upstream === undefined && route.static === undefined,
    message: 'is missing; write either upstream: http://host:port or static: ./folder',
  },
  {
    reads: ['upstream', 'static'],
    at: 'static',
    breaks: (route) => route.upstream !== undefined && route.static !== undefined,
    message: 'a route has either upstream or static; remove one',
  },
  {
    reads: ['csrf', 'access'],
    at: 'csrf',
    breaks: (route) => route.csrf === 'off' && route.access !== 'public',
    message: 'off is only for access: public, or other sites could use the session; remove it',
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

/** Every route by itself, against the rest of the configuration, and against the routes before it. */
export function reviewRoutes({ routes, basePath, keys, store }: Sections, { sound, problem }: Review): void {
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
