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
