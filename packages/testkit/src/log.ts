import type { Logger } from 'pino'
import { createLog } from '../../gateway/src/log.ts'

/** One line of the gateway's log, parsed. */
export interface LogLine {
  readonly level: string
  readonly time: string
  readonly msg?: string
  readonly event?: string
  readonly [field: string]: unknown
}

export interface CapturedLog {
  readonly logger: Logger
  readonly lines: LogLine[]
  /** All that was written, byte for byte: search it for what must not be in a log. */
  text(): string
  /** The lines of one event. */
  events(name: string): LogLine[]
}

/** The gateway's own logger, writing into memory. */
export function captureLog(level = 'debug'): CapturedLog {
  const lines: LogLine[] = []
  const raw: string[] = []
  const destination = {
    write(line: string) {
      raw.push(line)
      lines.push(JSON.parse(line) as LogLine)
    },
  }
  return {
    logger: createLog({ level, destination }),
    lines,
    text: () => raw.join(''),
    events: (name) => lines.filter((line) => line.event === name),
  }
}
