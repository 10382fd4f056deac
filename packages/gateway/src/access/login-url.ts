import type { Config } from '../config/schema.ts'
import type { GatewayRequest } from '../request.ts'

/** The local address that starts a sign-in, at the default provider or another, and leads back to `returnTo`. */
export function loginUrl(
  config: Pick<Config, 'basePath' | 'defaultProvider'>,
  returnTo: string,
  provider?: string,
): string {
  const at = provider === undefined || provider === config.defaultProvider ? '' : `&provider=${provider}`
  return `${config.basePath}/login?return_to=${encodeURIComponent(returnTo)}${at}`
}

/** The page that made a call, by its Referer of this origin; else the start page. An API address is no place to land. */
export function pageOf({ fields }: GatewayRequest, origin: string): string {
  const page = fields.referer
  return page?.startsWith(`${origin}/`) ? page.slice(origin.length) : '/'
}
