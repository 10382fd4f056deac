import { resolve } from 'node:path'
import { explainDecision, type LoggedDecision } from '../access/logged-decision.ts'
import type { Loaded } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { reason } from '../config/surroundings.ts'
import { errors } from '../errors.ts'
import { type FoundInLog, findInLog, openLog } from './decisions-in-log.ts'
import { row, rowsOf } from './explained-rows.ts'
import { exit, type Io } from './options.ts'

export interface AskedOfLog {
  readonly request: string
  /** The file, or `-`. */
  readonly log: string
  /** The configuration, as the operator wrote it. */
  readonly file: string
  readonly json: boolean
}

/** `coatcheck explain --request ID --log FILE`: what became of a request, at which check, and why. */
export async function explainLogged(asked: AskedOfLog, loaded: Loaded, io: Io): Promise<number> {
  const { request, log, file, json } = asked
  const say = (message: string, status: number) => {
    io.stderr.write(`coatcheck explain: ${message}\n`)
    return status
  }
  const source = log === '-' ? io.stdin : openLog(resolve(io.cwd, log))
  if (source === undefined) return say('there is no standard input', exit.usage)
  let found: FoundInLog
  try {
    found = await findInLog(source, request)
  } catch (error) {
    return say(`${log} can not be read: ${reason(error)}`, exit.usage)
  }
  if (found.read === 0) return say(`${log} has no line of JSON; it takes the log as the gateway writes it`, exit.usage)
  const decision = found.decisions.at(-1)
  if (decision === undefined) return say(missing(asked, found), exit.failed)
  const other = found.decisions.find(({ method, path }) => method !== decision.method || path !== decision.path)
  if (other) {
    const lines = `lines ${other.line} and ${decision.line}`
    return say(`${request} is of several requests in ${log} (${lines}); give it only the part of one`, exit.failed)
  }
  // Where the log was carried to, the configuration and its secrets may not be: the log alone tells the most of it.
  if (!loaded.config) {
    const [problem] = loaded.problems
    const why = problem === undefined ? '' : `: ${formatProblem({ ...problem, file })}`
    say(`told from the log alone, without the rules${why}`, exit.ok)
  }
  const steps = explainDecision(decision, loaded.config)
  const index = /^routes\[(\d+)\]$/.exec(decision.rule ?? '')?.[1]
  const known = loaded.config && index !== undefined && loaded.config.routes[Number(index)]?.path === decision.route
  const line = known ? loaded.lineOf(['routes', Number(index)]) : undefined
  if (json) {
    const { line: logLine, ...rest } = decision
    const told = { ...rest, logLine, steps, ...(line !== undefined && { line }), others: found.others }
    io.stdout.write(`${JSON.stringify(told, undefined, 2)}\n`)
    return exit.ok
  }
  const { method, time, address } = decision
  const rows = [
    method,
    ...rowsOf(steps, line === undefined ? undefined : `${file}:${line}`),
    row('answer', answerOf(decision)),
    row('when', [time, ...(address === undefined ? [] : [`from ${address}`])].join(' ')),
    ...found.others.map(({ level, says }, at) => row(at === 0 ? 'log' : '', `${level}: ${says}`)),
  ]
  io.stdout.write(`${rows.join('\n')}\n`)
  return exit.ok
}

function missing({ request, log }: AskedOfLog, { others }: FoundInLog): string {
  return others.length === 0
    ? `${log} has no request ${request}`
    : `${log} has no decision on ${request}; that it was let through is only logged with log: { decisions: all }`
}

function answerOf({ decision, code, status }: LoggedDecision): string {
  if (decision === 'refused') {
    return code !== undefined && Object.hasOwn(errors, code)
      ? `${errors[code as keyof typeof errors].status} ${code}`
      : `${code}`
  }
  if (decision === 'respond') return `${status} by the gateway`
  return admitted.get(decision) ?? decision
}

const admitted: ReadonlyMap<string, string> = new Map([
  ['forward', 'that of the upstream'],
  ['tunnel', 'a WebSocket of the upstream'],
  ['static', 'a file'],
  ['endpoint', 'that of the endpoint'],
])
