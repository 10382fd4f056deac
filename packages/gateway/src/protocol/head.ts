/** The head of a request, as a carrier received it: nothing decoded, joined or repaired. */
export interface RequestHead {
  readonly method: string
  /** The request-target exactly as on the wire. */
  readonly target: string
  /** name, value, name, value, … exactly as on the wire. */
  readonly rawHeaders: readonly string[]
  /**
   * True when the carrier's parser has refused every character that a header value may not have (RFC 9110 §5.5), as
   * llhttp does: then nobody looks for them again.
   */
  readonly strictlyParsed?: boolean
  /** The address of the TCP peer, without port. */
  readonly peer: string
  /** The request is not here: a proxy holds it and asks. `credential`: the answer may carry a token. See forward-auth.ts. */
  readonly asked?: { readonly credential: boolean }
}
