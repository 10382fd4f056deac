import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from '../../../testkit/src/browser.ts'
import { type CognitoOptions, type CognitoParts, ninaPassword, startCognito } from '../../../testkit/src/cognito.ts'
import { type PoolSignIn, passPool } from '../../../testkit/src/cognito-login.ts'
import type { ConfigInput } from '../../../testkit/src/config.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'

export const accountScope = 'aws.cognito.signin.user.admin'

interface CognitoWorldOptions {
  /** Of the provider `aws`, over its settings. */
  readonly provider?: ConfigInput | ((parts: CognitoParts) => ConfigInput)
  readonly config?: ConfigInput
  readonly cognito?: Partial<CognitoOptions>
  /** `memory` (the default) or `lmdb`, which processes share. */
  readonly store?: 'memory' | 'lmdb'
}

export interface CognitoWorld extends AsyncDisposable {
  readonly world: World
  readonly cognito: CognitoParts
  /** Opens the sign-in, and goes through whatever page the pool and Okta show. */
  signIn(user?: Partial<PoolSignIn> & { browser?: string; query?: string }): Promise<{ browser: Browser; page: Page }>
  /** Where the sign-in sends the browser. */
  authorization(query?: string, browser?: Browser): Promise<URL>
}

/** A world whose default provider `aws` is a user pool that federates to an OpenID provider playing Okta. */
export async function createCognitoWorld(options: CognitoWorldOptions = {}): Promise<CognitoWorld> {
  const world = await createWorld({ store: options.store ?? 'memory' })
  const cognito = await startCognito({ origin: world.origin, now: world.clock.now, ...options.cognito })
  writeFileSync(join(world.folder, 'pool-secret'), cognito.clientSecret, { mode: 0o600 })
  const { kind, userPoolId, domain, clientId, issuer, apiEndpoint } = cognito.settings
  const own = typeof options.provider === 'function' ? options.provider(cognito) : options.provider
  const aws = {
    ...{ kind, userPoolId, domain, clientId, issuer, apiEndpoint, clientSecret: { file: 'pool-secret' } },
    ...own,
  }
  await world.reloadGateway({
    roles: [{ claim: 'groups', contains: 'admin', grant: ['admin'] }],
    ...options.config,
    providers: { aws },
    defaultProvider: 'aws',
  })
  return {
    world,
    cognito,
    async signIn({ browser: name, query = '', as = 'ada', ...user } = {}) {
      const browser = world.browser(name)
      const page = await browser.visit(`/auth/login?return_to=/done${query}`, { from: world.origin })
      return { browser, page: await passPool(browser, page, { as, idp: 'Okta', ...user }) }
    },
    async authorization(query = '', browser = world.browser('looks on')) {
      const page = await browser.visit(`/auth/login?return_to=/done${query}`, { from: world.origin, follow: false })
      return new URL(page.location ?? `about:blank#${page.status}`)
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await cognito.close()
    },
  }
}

/** The pool's own user, who has a password there. */
export const nina = { as: 'nina', password: ninaPassword }
