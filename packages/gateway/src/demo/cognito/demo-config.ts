import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { type Config, type configSchema, createConfigSchema } from '../../config/schema.ts'
import { createSurroundings, readText } from '../../config/surroundings.ts'
import { appFolder } from '../app.ts'
import { saveTls } from '../config.ts'
import { roleRules } from './theatre.ts'

/** The files of the sample app of this demo; it shares others with that of the plain one. */
export const cognitoAppFolder = fileURLToPath(new URL('../../../demo/cognito', import.meta.url))

type Input = z.input<typeof configSchema>

export interface CognitoDemoParts {
  /** The provider `aws`, as far as the stand-in says it. */
  readonly provider: Input['providers'][string]
  readonly region: string
  /** Origins of the services. */
  readonly api: string
  readonly bucket: string
  /** Of what the page is told about the demo. */
  readonly about: string
}

interface Options {
  readonly origin: string
  readonly port: number
  /** Absolute: the key ring and the certificate lie here. */
  readonly data: string
  /** The folder of the store. */
  readonly sessions: string
  readonly clientSecret: string
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
}

/** The gateway's configuration, as a file would give it: worth reading beside examples/cognito/coatcheck.yaml. */
export function createCognitoDemoConfig(parts: CognitoDemoParts, options: Options): Config {
  const { origin, port, data, sessions, clientSecret, tls } = options
  const { provider, region, api, bucket, about } = parts
  const signed = (service: 'execute-api' | 's3') => ({ aws: { service, region } })
  const input: Input = {
    origin,
    listen: { port, ...(tls && { tls: saveTls(data, tls) }) },
    keys: { file: 'coatcheck.keys' },
    store: { kind: 'lmdb', path: sessions },
    providers: {
      aws: {
        ...provider,
        clientSecret: { env: 'CLIENT_SECRET' },
        // The last one is for reading and changing the user's own account.
        scope: 'openid profile email aws.cognito.signin.user.admin',
        identityProviders: ['Okta', 'Salesforce', 'COGNITO'],
        homeRealms: { 'lyric.example': 'Okta', 'agency.example': 'Salesforce' },
      },
    },
    roles: roleRules,
    routes: [
      { path: '/demo', upstream: about, access: 'public' },
      { path: '/prod/admin/*', upstream: api, access: { roles: ['admin'] }, credential: signed('execute-api') },
      { path: '/prod/*', upstream: api, access: 'authenticated', credential: signed('execute-api') },
      { path: '/bucket/*', upstream: bucket, access: 'authenticated', credential: signed('s3'), maxBody: '1mb' },
      { path: '/shared/*', static: appFolder, access: 'public' },
      { path: '/*', static: cognitoAppFolder, access: 'public' },
    ],
    headers: { csp: "default-src 'self'; form-action 'self'; frame-ancestors 'none'" },
  }
  const surroundings = { env: { CLIENT_SECRET: clientSecret }, folder: data, readFile: readText, warn: false }
  return createConfigSchema(createSurroundings(surroundings)).parse(input)
}
