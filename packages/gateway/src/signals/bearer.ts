import type { GatewayRequest } from '../request.ts'

/** The value of Authorization; undefined if there is none. Two are refused before any endpoint is reached. */
export function authorizationOf({ head }: Pick<GatewayRequest, 'head'>): string | undefined {
  const { rawHeaders } = head
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'authorization')
  return at < 0 ? undefined : rawHeaders[at + 1]
}

/** The token of `Authorization: Bearer …`. @see RFC 6750 §2.1 */
export function bearerOf(request: Pick<GatewayRequest, 'head'>): string | undefined {
  return /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorizationOf(request) ?? '')?.[1]
}
