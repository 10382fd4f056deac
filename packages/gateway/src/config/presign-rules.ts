import type { Review } from './review.ts'
import type { RouteConfig, Sections } from './schema.ts'

/** What a route that gives permissions for uploads needs, besides what `credential: { aws }` needs. */
export function reviewPresign({ providers, routes }: Sections, { sound, problem }: Review): void {
  if (!Array.isArray(routes)) return
  routes.forEach((route, index) => {
    const at = ['routes', index]
    if (!sound(at, 'presign') || route.presign === undefined) return
    if (sound(at, 'credential') && !isForS3(route)) {
      problem([...at, 'credential'], 'presign signs for S3; write { aws: { service: s3, region: … } }')
    }
    if (sound(at, 'path') && route.path.endsWith('*')) {
      problem([...at, 'path'], 'the key of an upload is chosen by presign, not by the page; write a path without *')
    }
    if (sound(at, 'methods') && route.methods !== undefined && String(route.methods) !== 'POST') {
      problem([...at, 'methods'], 'permissions are asked for by POST; remove it')
    }
    if (!sound(at, 'credential') || !sound([], 'providers') || !isForS3(route)) return
    const bySub = route.presign.key.some((part) => 'of' in part && part.of === 'sub')
    const pools = Object.values(providers ?? {}).filter((one) => one?.identityPool !== undefined)
    const { credential } = route
    const named = typeof credential === 'object' && credential.kind === 'aws' && credential.aws.provider !== undefined
    if (bySub && pools.length > 1 && !named) {
      const message =
        'two providers may know two users by one sub; write {identityId}, or the provider under credential.aws'
      problem([...at, 'presign', 'key'], message)
    }
  })
}

function isForS3({ credential }: RouteConfig): boolean {
  return typeof credential === 'object' && credential?.kind === 'aws' && credential.aws.service === 's3'
}
