import type { Respond } from '../decision.ts'

/** An answer of the gateway's own endpoints: about one user at one moment, so it is never stored or shared. */
export function json(status: number, body: object, headers: readonly string[] = []): Respond {
  return {
    kind: 'respond',
    status,
    headers: ['Content-Type', 'application/json; charset=utf-8', ...ownHeaders, ...headers],
    body: JSON.stringify(body),
  }
}

export function noContent(): Respond {
  return { kind: 'respond', status: 204, headers: [...ownHeaders], body: '' }
}

/** CORP keeps other sites from loading it into their process, where a side channel could read it. */
const ownHeaders = [
  'Cache-Control',
  'no-store',
  'X-Content-Type-Options',
  'nosniff',
  'Cross-Origin-Resource-Policy',
  'same-origin',
]
