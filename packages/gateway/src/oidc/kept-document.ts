import { ProviderFault } from './provider-fault.ts'

/** A document of somebody else's, read when first needed and kept. */
export interface KeptDocument<Value> {
  /** Throws `ProviderFault` while it was never read and can't be read now. */
  get(): Promise<Value>
}

/** Read again after this long; an older copy serves on while its owner is down. */
const freshFor = 15 * 60_000
/** After a failure its owner is left alone for this long (by the machine's own clock: it spares a real server). */
const retryAfter = 1_000

/** One request at a time, however many wait for it. `name` is for messages: `the discovery document of https://…`. */
export function createKeptDocument<Value>(
  name: string,
  fetchIt: () => Promise<Value>,
  options: { now: () => number; onStale: (fault: unknown) => void },
): KeptDocument<Value> {
  let known: { readonly value: Value; readonly readAt: number } | undefined
  let failure: unknown
  let failedAt = Number.NEGATIVE_INFINITY
  let reading: Promise<Value> | undefined

  async function read(): Promise<Value> {
    try {
      const value = await fetchIt()
      known = { value, readAt: options.now() }
      return value
    } catch (cause) {
      failure = cause
      failedAt = performance.now()
      throw new ProviderFault(`${name} can not be used`, { cause })
    } finally {
      reading = undefined
    }
  }

  return {
    async get() {
      if (known && options.now() - known.readAt < freshFor) return known.value
      if (reading === undefined && performance.now() - failedAt < retryAfter) {
        if (known) return known.value
        throw new ProviderFault(`${name} could not be read a moment ago`, { cause: failure })
      }
      reading ??= read()
      if (known === undefined) return await reading
      // What is known serves on; a slow or dead owner holds nobody up.
      reading.catch(options.onStale)
      return known.value
    },
  }
}
