import type { Config } from './config/schema.ts'

/** The local address that starts a sign-in and leads back to `returnTo`. */
export function loginUrl(config: Pick<Config, 'basePath'>, returnTo: string): string {
  return `${config.basePath}/login?return_to=${encodeURIComponent(returnTo)}`
}
