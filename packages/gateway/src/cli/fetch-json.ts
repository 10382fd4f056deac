import { ProviderFault } from '../oidc/provider-fault.ts'
import { type Send, sendUsually } from '../oidc/send.ts'

/** A document from somebody's server, or what is wrong with the answer in words that follow its address. */
export async function fetchJson(
  url: string,
  timeout: number,
  send: Send = sendUsually,
): Promise<{ json: unknown } | { failed: string }> {
  let response: Response
  try {
    response = await send(url, { headers: { accept: 'application/json' } }, { timeout, maxBytes: 1024 * 1024 })
  } catch (error) {
    if (error instanceof ProviderFault) return { failed: `answers too much: ${error.message}` }
    if (error instanceof Error && error.name === 'TimeoutError') return { failed: 'does not answer in time' }
    return {
      failed: `cannot be reached: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'}`,
    }
  }
  if (response.status !== 200) return { failed: `answers ${response.status}` }
  try {
    return { json: await response.json() }
  } catch {
    return { failed: 'answers something that is not JSON' }
  }
}
