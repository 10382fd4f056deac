import type { VisitOptions } from './browser-options.ts'
import type { Intent } from './fetch-metadata.ts'
import { type Exchange, valuesOf } from './transport.ts'

export type NewIntent = Pick<Intent, 'url' | 'method' | 'mode' | 'dest' | 'from' | 'activated'> & Partial<Intent>

/** Fills in what an intent rarely has. */
export function complete(intent: NewIntent): Intent {
  return { prefetch: false, chain: [], headers: {}, body: undefined, ...intent }
}

/** The request that a redirect asks for. 303, and 301 or 302 to a POST, turn into GET without body. @see Fetch §4.4 */
export function redirectOf(intent: Intent, { status, rawHeaders }: Exchange): Intent | undefined {
  const location = valuesOf(rawHeaders, 'location')[0]
  if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return undefined
  const url = new URL(location, intent.url)
  const chain = [...intent.chain, intent.url]
  const keepsMethod = status >= 307 || intent.method === 'GET' || intent.method === 'HEAD'
  if (keepsMethod) return { ...intent, url, chain }
  const { 'content-type': _type, ...headers } = intent.headers
  return { ...intent, url, chain, headers, method: 'GET', body: undefined }
}

export function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

/** The bytes of a body; sets the content type of a form where none is given. */
export function bodyOf(body: VisitOptions['body'], headers: Record<string, string>): Uint8Array | undefined {
  if (body instanceof URLSearchParams) {
    headers['content-type'] ??= 'application/x-www-form-urlencoded'
    return Buffer.from(body.toString())
  }
  return typeof body === 'string' ? Buffer.from(body) : body
}
