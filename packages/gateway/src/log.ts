import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'

/**
 * JSON lines, ISO 8601 times. What must never be in a log is never handed over; the redaction is a second lock for what a
 * library's error may carry. @see OWASP Logging Cheat Sheet
 */
export function createLog(options: {
  level: string
  destination?: DestinationStream
  /** On every line: which process it is, where there are several. */
  base?: object
}): Logger {
  const settings = {
    level: options.level,
    base: options.base ?? null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretPaths, censor },
    serializers: { err: describeFault },
  }
  return options.destination ? pino(settings, options.destination) : pino(settings)
}

/** Names and places of a fault, never the values that it was holding: a library's `cause` may be a whole response. */
function describeFault(fault: unknown): object {
  if (!(fault instanceof Error)) return { message: String(fault) }
  const { name, message, stack } = fault
  const code = (fault as NodeJS.ErrnoException).code
  return {
    ...{ name, message, ...(code !== undefined && { code }), stack },
    ...(fault.cause instanceof Error && { cause: describeFault(fault.cause) }),
  }
}

/** The code of a fault is a word of the system or of a library, such as ENOSPC; everywhere else it may be OAuth's. */
function censor(value: unknown, path: readonly unknown[]): unknown {
  const word =
    path.length === 2 &&
    path[0] === 'err' &&
    path[1] === 'code' &&
    typeof value === 'string' &&
    /^E[A-Z]{2,20}$|^[A-Z]+(_[A-Z0-9]+)+$/.test(value)
  return word ? value : '[redacted]'
}

const secretPaths = [
  'authorization',
  'cookie',
  'code',
  'verifier',
  'token',
  'access_token',
  'refresh_token',
  'id_token',
  'client_secret',
  'client_assertion',
  'dpop',
  'dpopKey',
].flatMap((name) => [`*.${name}`, `err.${name}`])
