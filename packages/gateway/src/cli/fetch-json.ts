import type { Fetch } from '../oidc/bounded-fetch.ts'

/** A document from somebody's server, or what is wrong with the answer in words that follow its address. */
export async function fetchJson(
  url: string,
  timeout: number,
  way: Fetch = fetch,
): Promise<{ json: unknown } | { failed: string }> {
  let response: Response
  try {
    response = await way(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
      headers: { accept: 'application/json' },
    })
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    if (cause instanceof Error && cause.name === 'TimeoutError') return { failed: 'does not answer in time' }
    return {
      failed: `cannot be reached: ${cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'}`,
    }
  }
  if (response.status !== 200) {
    await response.body?.cancel()
    return { failed: `answers ${response.status}` }
  }
  try {
    return { json: await response.json() }
  } catch {
    return { failed: 'answers something that is not JSON' }
  }
}
