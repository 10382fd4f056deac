import type { CognitoOptions } from '../../../testkit/src/cognito.ts'
import type { ConfigInput } from '../../../testkit/src/config.ts'
import { type CognitoWorld, createCognitoWorld } from './cognito-world.ts'

interface AwsWorldOptions {
  readonly cognito?: Partial<CognitoOptions>
  /** Of the identity pool, over the usual. */
  readonly pool?: ConfigInput
  /** Of `credential: { aws: … }` on `/prod/*`. */
  readonly aws?: ConfigInput
  readonly route?: ConfigInput
  /** Before the usual routes. */
  readonly routes?: (given: CognitoWorld) => readonly ConfigInput[]
  readonly store?: 'memory' | 'lmdb'
}

/** A world in which `/prod/*` is an API Gateway, and `/bucket/*` S3; both verify signatures. */
export async function createAwsWorld(options: AwsWorldOptions = {}): Promise<CognitoWorld> {
  const { cognito, pool, aws, route, routes, store = 'memory' } = options
  const given = await createCognitoWorld({ store, ...(cognito && { cognito }) })
  const { settings, aws: api, identityPool } = given.cognito
  const { region } = identityPool
  const signed = (service: string, more: ConfigInput = {}) => ({
    upstream: api(service).url,
    access: 'authenticated',
    credential: { aws: { service, region, ...more } },
  })
  await given.world.reloadGateway({
    providers: {
      aws: {
        ...settings,
        clientSecret: { file: 'pool-secret' },
        identityProviders: ['Okta'],
        identityPool: { ...settings.identityPool, ...pool },
      },
    },
    defaultProvider: 'aws',
    routes: [
      ...(routes?.(given) ?? []),
      { path: '/prod/*', ...signed('execute-api', aws), ...route },
      { path: '/bucket/*', ...signed('s3') },
      { path: '/*', upstream: given.world.upstream.url, access: 'public', csrf: 'off' },
    ] as never,
  })
  return given
}
