import { resolve } from 'node:path'
import { type Explanation, explainRequest } from '../access/explanation.ts'
import { type Loaded, loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { type ErrorCode, errors } from '../errors.ts'
import { explainLogged } from './explain-logged.ts'
import { row, rowsOf } from './explained-rows.ts'
import { configOption, exit, type Io, jsonOption, readOptions } from './options.ts'

export const command = {
  name: 'explain',
  summary:
    'Tells which route and rule a request meets, and what would happen to it; nothing is sent. With --request: what became of one, by its id in the log.',
  optional: ['METHOD', 'URL'],
  options: {
    config: configOption,
    roles: { type: 'string', value: 'A,B', help: 'of the one who asks; without it: what would be asked of them' },
    request: {
      type: 'string',
      value: 'ID',
      help: 'of a decision in the log: X-Request-Id of the answer, or on its page',
    },
    log: { type: 'string', value: 'FILE', help: 'with --request: the log, as JSON lines; - for standard input' },
    json: jsonOption,
  },
} as const

/**
 * `coatcheck explain METHOD URL`: 0 whatever the answer is, 2 wrong usage or a broken configuration. `--request ID --log
 * FILE`: 0, 1 the log has no such decision or more than one, 2 wrong usage or no readable log.
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { config: file, roles, request, log, json = false } = parsed.values
  const [method, url] = parsed.operands
  const wrong = (message: string) => {
    io.stderr.write(`coatcheck explain: ${message}; see coatcheck explain --help\n`)
    return exit.usage
  }
  const loaded = () => loadConfig(resolve(io.cwd, file), { env: io.env })
  if (request !== undefined || log !== undefined) {
    if (request === undefined) return wrong('--log goes with --request ID')
    if (log === undefined) return wrong('--request needs --log FILE, or --log - for standard input')
    if (method !== undefined || roles !== undefined) return wrong('--request takes no METHOD, URL or --roles')
    if (!/^[\w-]{1,64}$/.test(request)) return wrong('--request is not an id as the gateway makes them')
    return await explainLogged({ request, log, file, json }, loaded(), io)
  }
  if (method === undefined) return wrong('METHOD is missing')
  if (url === undefined) return wrong('URL is missing')
  if (!/^[A-Z][A-Z-]*$/.test(method)) return wrong('METHOD is written in capitals, such as GET')
  return explainAsked({ method, url, roles, file, json }, loaded(), io)
}

interface AskedByHand {
  readonly method: string
  readonly url: string
  readonly roles: string | undefined
  readonly file: string
  readonly json: boolean
}

function explainAsked({ method, url, roles, file, json }: AskedByHand, loaded: Loaded, io: Io): number {
  if (!loaded.config) {
    for (const problem of loaded.problems) io.stderr.write(`${formatProblem({ ...problem, file })}\n`)
    return exit.usage
  }
  const explanation = explainRequest(loaded.config, {
    method,
    url,
    roles: roles
      ?.split(',')
      .map((role) => role.trim())
      .filter(Boolean),
  })
  const line = explanation.route && loaded.lineOf(['routes', explanation.route.index])
  io.stdout.write(
    json
      ? `${JSON.stringify({ ...explanation, ...(line && { line }) }, undefined, 2)}\n`
      : told(explanation, line === undefined ? undefined : `${file}:${line}`),
  )
  return exit.ok
}

function told({ method, steps, refused }: Explanation, place: string | undefined): string {
  const answer = refused === undefined ? [] : [row('answer', `${errors[refused as ErrorCode].status} ${refused}`)]
  return `${[method, ...rowsOf(steps, place), ...answer].join('\n')}\n`
}
