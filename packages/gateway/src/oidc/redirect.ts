import type { Respond } from '../decision.ts'

/** 303: whatever the method was, the next request is a GET. The address that we come from is told to nobody. */
export function redirect(location: string, setCookies: readonly string[] = []): Respond {
  return {
    kind: 'respond',
    status: 303,
    headers: [
      'Location',
      location,
      'Cache-Control',
      'no-store',
      'Referrer-Policy',
      'no-referrer',
      ...setCookies.flatMap((cookie) => ['Set-Cookie', cookie]),
    ],
    body: '',
  }
}
