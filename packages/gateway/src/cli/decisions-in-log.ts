import { createReadStream } from 'node:fs'
import type { LoggedDecision } from '../access/logged-decision.ts'
import { printable } from '../protocol/printable.ts'

/** What a log says of one request. */
export interface FoundInLog {
  readonly decisions: readonly (LoggedDecision & { readonly line: number })[]
  /** Whatever else was logged under its id. */
  readonly others: readonly { readonly line: number; readonly level: string; readonly says: string }[]
  /** How many lines were JSON objects: 0 is no log of ours. */
  readonly read: number
}

/**
 * Reads a log of JSON lines, of any length, piece by piece. Lines that are none are passed over: a container's log has some.
 * What a log says may come from anybody, so it is made printable before it reaches a terminal.
 * @throws Error when the file can't be read
 */
export async function findInLog(log: AsyncIterable<Buffer | string>, requestId: string): Promise<FoundInLog> {
  const decisions: FoundInLog['decisions'][number][] = []
  const others: FoundInLog['others'][number][] = []
  let line = 0
  let read = 0
  for await (const text of linesOf(log)) {
    line++
    if (!text.startsWith('{')) continue
    // Most lines are another request's: those need not be parsed.
    if (!text.includes(requestId)) {
      read++
      continue
    }
    const fields = parse(text)
    if (fields === undefined) continue
    read++
    if (fields.requestId !== requestId) continue
    const decision = decisionOf(fields)
    if (decision) decisions.push({ ...decision, line })
    else others.push({ line, level: textOf(fields.level) ?? 'info', says: describe(fields) })
  }
  return { decisions, others, read }
}

export function openLog(file: string): AsyncIterable<Buffer | string> {
  return createReadStream(file)
}

async function* linesOf(log: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of log) {
    const lines = (rest + (typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }))).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

type Fields = Readonly<Record<string, unknown>>

function parse(text: string): Fields | undefined {
  try {
    return JSON.parse(text) as Fields
  } catch {
    return undefined
  }
}

function decisionOf(fields: Fields): LoggedDecision | undefined {
  const [requestId, decision] = [textOf(fields.requestId), textOf(fields.decision)]
  const [method, path] = [textOf(fields.method), textOf(fields.path)]
  if (requestId === undefined || decision === undefined || method === undefined || path === undefined) return undefined
  const more = Object.fromEntries(
    texts.flatMap((name) => (fields[name] === undefined ? [] : [[name, textOf(fields[name])]])),
  )
  const status = typeof fields.status === 'number' ? { status: fields.status } : {}
  return { requestId, decision, method, path, ...more, ...status }
}

const texts = ['time', 'address', 'route', 'rule', 'session', 'code', 'reason'] as const

function describe(fields: Fields): string {
  const said = [fields.event, fields.code, fields.reason, fields.msg].map(textOf).filter((one) => one !== undefined)
  return said.join(', ')
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? printable(value, 1000) : undefined
}
