/** The head of a request, as a carrier received it: nothing decoded, joined or repaired. */
export interface RequestHead {
  readonly method: string
  /** The request-target exactly as on the wire. */
  readonly target: string
  /** name, value, name, value, … exactly as on the wire. */
  readonly rawHeaders: readonly string[]
  /** The address of the TCP peer, without port. */
  readonly peer: string
}
