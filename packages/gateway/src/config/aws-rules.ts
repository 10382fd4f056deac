import { isLoopback } from './addresses.ts'
import type { Review } from './review.ts'
import type { Sections } from './schema.ts'

/** What routes that sign for AWS need of their upstream, and of the providers. */
export function reviewAws({ providers, routes }: Sections, { sound, problem }: Review): void {
  const named = sound([], 'providers') && typeof providers === 'object' && providers !== null
  if (named) reviewPools(providers, { sound, problem })
  if (!Array.isArray(routes)) return
  routes.forEach((route, index) => {
    const at = ['routes', index]
    if (!sound(at, 'credential', 'upstream')) return
    const { credential, forwardAuth } = route
    if (typeof credential !== 'object' || credential?.kind !== 'aws') return
    // Absent where something else is wrong with the route.
    const addresses = Array.isArray(route.addresses) ? route.addresses : []
    if (forwardAuth) {
      problem([...at, 'credential'], 'a signature covers the body, which forward-auth never sees; write an upstream')
    }
    if (addresses.length > 1) {
      problem([...at, 'upstream'], 'a signature is for one host; write one address')
    }
    for (const address of addresses) {
      const { protocol, hostname } = new URL(address)
      if (protocol.startsWith('ws')) {
        problem([...at, 'credential'], 'WebSockets are not signed; write an http upstream or another credential')
      } else if (protocol === 'http:' && !isLoopback(hostname)) {
        problem([...at, 'upstream'], `a signed request carries a session token; write https://${hostname}`)
      }
    }
    if (!named) return
    const { provider, roleArn } = credential.aws
    const able = Object.entries(providers).filter(([, one]) => one?.identityPool !== undefined)
    const meant = able.filter(([name]) => provider === undefined || name === provider)
    if (meant.length === 0) {
      const message =
        provider === undefined
          ? 'no provider has an identityPool; write one under providers'
          : able.length === 0
            ? `${provider} has no identityPool; write one there`
            : `is no provider with an identityPool; write ${able.map(([name]) => name).join(' or ')}`
      problem([...at, 'credential', 'aws', ...(provider === undefined ? [] : ['provider'])], message)
    }
    const byRules = meant.find(([, one]) => one.identityPool?.roleFrom === 'rules')
    if (roleArn !== undefined && byRules !== undefined) {
      const message = `the identity pool of ${byRules[0]} chooses roles by rules and refuses to be asked for one; remove it, or write roleFrom: token there`
      problem([...at, 'credential', 'aws', 'roleArn'], message)
    }
  })
}

function reviewPools(providers: Sections['providers'], { sound, problem }: Pick<Review, 'sound' | 'problem'>): void {
  for (const [name, provider] of Object.entries(providers)) {
    const at = ['providers', name, 'identityPool']
    const pool = provider?.identityPool
    if (pool === undefined || !sound(['providers', name], 'identityPool', 'kind')) continue
    if (pool.flow === 'basic' && provider.kind !== 'cognito') {
      problem([...at, 'flow'], 'basic goes by cognito:roles of a user pool; write enhanced')
    }
    if (pool.flow === 'basic' && pool.roleFrom === 'rules') {
      problem([...at, 'roleFrom'], 'rules of the pool hold in the enhanced flow only; write flow: enhanced, or token')
    }
  }
}
