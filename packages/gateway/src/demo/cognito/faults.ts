/** Something that goes wrong with a call. */
export type Fault =
  | { readonly kind: 'hang' }
  | { readonly kind: 'delay' | 'slow'; readonly ms: number }
  | {
      readonly kind: 'fail'
      readonly status: number
      readonly code?: string
      readonly message?: string
      readonly headers?: Readonly<Record<string, string>>
    }

export interface FaultScope {
  /** Only this operation: `GetId`, `/oauth2/token`; all if absent. */
  readonly operation?: string
  /** So many calls; until undone if absent. */
  readonly times?: number
}

export interface RecordedCall {
  readonly operation: string
  /** Of the answer; 0 while there is none. */
  status: number
}

/** The knobs by which a service of the stand-in is broken, and the record of its calls. */
export interface Faults {
  readonly calls: readonly RecordedCall[]
  /** How often an operation was called. */
  count(operation: string): number
  /** Adds a fault; undone by the function returned. */
  add(fault: Fault, scope?: FaultScope): () => void
  /** Too many requests, in the words of AWS: 400 with TooManyRequestsException (an SDK retries it). */
  throttle(scope?: FaultScope): () => void
  /** By how many milliseconds the service's clock is ahead; negative: behind. */
  skew: number
  record(operation: string): RecordedCall
  next(operation: string): Fault | undefined
}

export function createFaults(): Faults {
  const calls: RecordedCall[] = []
  const rules = new Set<{ readonly fault: Fault; readonly operation: string | undefined; left: number }>()

  function add(fault: Fault, { operation, times = Number.POSITIVE_INFINITY }: FaultScope = {}): () => void {
    const rule = { fault, operation, left: times }
    rules.add(rule)
    return () => void rules.delete(rule)
  }

  return {
    calls,
    count: (operation) => calls.filter((call) => call.operation === operation).length,
    add,
    throttle: (scope) =>
      add({ kind: 'fail', status: 400, code: 'TooManyRequestsException', message: 'Rate exceeded' }, scope),
    skew: 0,
    record(operation) {
      const call = { operation, status: 0 }
      calls.push(call)
      return call
    },
    next(operation) {
      for (const rule of rules) {
        if (rule.operation !== undefined && rule.operation !== operation) continue
        if (rule.left-- <= 1) rules.delete(rule)
        return rule.fault
      }
      return undefined
    },
  }
}
