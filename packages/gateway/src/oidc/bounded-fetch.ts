/** What a provider answers is read whole before anything trusts it, so it may be neither endless nor slow. */
export interface FetchLimits {
  /** Milliseconds for the whole exchange. */
  readonly timeout: number
  /** Bytes of the answer's body. */
  readonly maxBytes: number
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/**
 * A fetch that a slow or huge answer can not hold: it rejects with a `ProviderFault`, and follows no redirect (a redirect
 * of the token endpoint would carry the client's secret elsewhere). A signal of the caller's ends it sooner.
 */
export function createBoundedFetch(limits: FetchLimits, baseFetch: Fetch = fetch): Fetch {
  return async (url, init) => {
    const timeout = AbortSignal.timeout(limits.timeout)
    const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout
    try {
      const response = await baseFetch(url, { ...init, redirect: 'manual', signal })
      const body = await readBounded(response, limits.maxBytes)
      const bodyless = response.status === 204 || response.status === 304
      return new Response(bodyless ? null : body, { status: response.status, headers: response.headers })
    } catch (cause) {
      if (cause instanceof ProviderFault) throw cause
      throw new ProviderFault(`no usable answer from ${new URL(url).origin}`, { cause })
    }
  }
}

/** The provider could not be reached, or answered with what no working provider sends. Nobody is signed out for it. */
export class ProviderFault extends Error {
  override readonly name = 'ProviderFault'
  /** Seconds after which to try again, where known. */
  readonly retryAfter: number | undefined

  constructor(message: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.retryAfter = options.retryAfter
  }
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > maxBytes) throw new ProviderFault(`an answer of more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  const body = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.byteLength
  }
  return body
}
