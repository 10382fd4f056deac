import type { core } from 'zod'
import { cspProblem, namesReports } from '../protocol/csp.ts'
import { kindOf } from '../providers/kinds.ts'
import { isLoopback } from './addresses.ts'
import { reviewAws } from './aws-rules.ts'
import { isProvidersToken } from './credential-schema.ts'
import { reviewIdentity } from './identity-rules.ts'
import { warnOfKind } from './kind-rules.ts'
import { reviewPresign } from './presign-rules.ts'
import { reviewBinding, reviewProvider } from './provider-rules.ts'
import { createReview, type Path, type Review } from './review.ts'
import { reviewRoutes } from './route-rules.ts'
import type { RoleRule, Sections } from './schema.ts'
import { reviewSignals } from './signals-rules.ts'

/** The rules that concern more than one key. `warnings`: report those instead of being silent on them. */
export function reviewConfig(warnings: boolean) {
  return (config: Sections, ctx: core.$RefinementCtx<Sections>): void => {
    if (typeof config !== 'object' || config === null) return
    const review = createReview(ctx, warnings)
    reviewSession(config, review)
    reviewWorkers(config, review)
    reviewProviders(config, review)
    reviewListeners(config, review)
    reviewRoutes(config, review)
    reviewRoles(config, review)
    reviewIdentity(config, review)
    reviewSignals(config, review)
    reviewAws(config, review)
    reviewPresign(config, review)
    reviewHeaders(config, review)
  }
}

function reviewSession({ session }: Sections, { sound, problem }: Review): void {
  if (sound(['session'], 'idle', 'absolute') && session.idle > session.absolute) {
    problem(['session', 'idle'], 'is longer than session.absolute, so it would never take effect; write less')
  }
}

function reviewWorkers({ workers, store }: Sections, { sound, problem }: Review): void {
  if (!sound([], 'workers', 'store') || workers === 1 || store.kind !== 'memory') return
  problem(['workers'], 'each process would have sessions of its own; write workers: 1, or store: { kind: lmdb }', [
    'store',
  ])
}

function reviewProviders({ providers, defaultProvider, routes }: Sections, review: Review): void {
  const { sound, problem } = review
  if (typeof providers !== 'object' || providers === null) return
  const handsOut = sound([], 'routes') && routes.some(({ credential }) => isProvidersToken(credential))
  for (const [name, provider] of Object.entries(providers)) {
    reviewProvider(['providers', name], provider, review)
    warnOfKind(['providers', name], provider, review)
    if (handsOut) reviewBinding(['providers', name], provider, review)
  }
  if (!sound([], 'defaultProvider')) return
  const names = Object.keys(providers)
  if (names.length === 0 || !sound(['providers'], defaultProvider ?? '')) return
  if (defaultProvider === undefined) {
    if (names.length > 1)
      problem(['defaultProvider'], `is missing; there are several providers: write ${names.join(' or ')}`)
  } else if (!names.includes(defaultProvider)) {
    problem(['defaultProvider'], `there is no such provider; write ${names.join(' or ')}`)
  }
}

function reviewListeners({ listen, admin, trustedProxies }: Sections, { sound, problem, warn }: Review): void {
  if (!sound([], 'listen')) return
  if (sound([], 'admin') && admin && admin.port !== 0 && admin.port === listen.port && admin.host === listen.host) {
    problem(['admin', 'port'], 'is taken by listen; write another', ['listen'])
  }
  if (sound([], 'trustedProxies') && !listen.tls && !isLoopback(listen.host) && trustedProxies.length === 0) {
    warn(['listen'], 'plain HTTP beyond this machine: add tls, or name the proxy in front in trustedProxies')
  }
}

function reviewHeaders({ headers }: Sections, { sound, problem }: Review): void {
  if (!sound(['headers'], 'csp') || headers.csp === undefined) return
  const wrong = cspProblem(headers.csp)
  if (wrong !== undefined) problem(['headers', 'csp'], wrong)
  if (sound(['headers'], 'cspReports') && headers.cspReports && namesReports(headers.csp)) {
    problem(['headers', 'cspReports'], 'the policy says itself where reports go; remove report-uri and report-to there')
  }
}

const comparisons = ['equals', 'startsWith', 'contains', 'notEqual'] as const

function reviewRoles({ providers, roles, rolesMatch, routes }: Sections, { sound, problem, warn }: Review): void {
  if (!Array.isArray(roles)) return
  roles.forEach((rule: RoleRule, index) => {
    const at: Path = ['roles', index]
    if (!sound(at, ...comparisons)) return
    const used = comparisons.filter((name) => rule[name] !== undefined)
    if (used.length !== 1) {
      problem(
        at,
        `write exactly one of ${comparisons.join(', ')}${used.length > 1 ? `; here are ${used.join(' and ')}` : ''}`,
      )
    }
  })
  if (sound([], 'roles', 'rolesMatch') && rolesMatch === 'first') {
    const conditions = roles.map(({ grant: _, ...condition }) => JSON.stringify(condition, ['claim', ...comparisons]))
    conditions.forEach((condition, index) => {
      const before = conditions.indexOf(condition)
      if (before < index)
        warn(['roles', index], `grants nothing: roles[${before}] asks the same, and only the first match grants`)
    })
  }
  if (sound([], 'providers', 'roles') && Object.values(providers).some((one) => kindOf(one).keepsAttributes)) {
    roles.forEach(({ claim }, index) => {
      if (!claim.startsWith('custom:')) return
      warn(
        ['roles', index, 'claim'],
        'a user pool keeps the last value of an attribute that the identity provider sends no more: whoever loses the group there keeps the role here; decide by cognito:groups',
      )
    })
  }
  if (sound([], 'providers', 'roles')) {
    const cut = Object.entries(providers).find(([, one]) => kindOf(one).mostGroups && one.groupsApi === undefined)
    roles.forEach(({ claim, notEqual }, index) => {
      if (cut === undefined || claim !== 'groups' || notEqual === undefined) return
      warn(
        ['roles', index, 'notEqual'],
        `the groups of ${cut[0]} may be cut to ${kindOf(cut[1]).mostGroups}, and whoever has more of them seems not to be in ${notEqual}; write groupsApi there`,
      )
    })
  }
  if (!sound([], 'roles', 'routes')) return
  const granted = new Set(roles.flatMap((rule) => rule.grant))
  routes.forEach(({ access }, index) => {
    if (typeof access !== 'object') return
    for (const name of (access.roles ?? []).filter((role) => !granted.has(role))) {
      warn(['routes', index, 'access'], `no rule under roles grants ${name}`)
    }
  })
}
