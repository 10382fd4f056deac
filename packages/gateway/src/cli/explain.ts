import { resolve } from 'node:path'
import { explainRequest } from '../access/explanation.ts'
import { explainRoles } from '../access/role-explanation.ts'
import { type Loaded, loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { type ErrorCode, errors } from '../errors.ts'
import type { JsonObject } from '../session/json.ts'
import { explainLogged } from './explain-logged.ts'
import { awsRoles, describeAws, explainClaims, rowsOfRoles, withLines } from './explain-roles.ts'
import { row, rowsOf } from './explained-rows.ts'
import { configOption, exit, type Io, jsonOption, readOptions } from './options.ts'
import { readClaims } from './read-claims.ts'

export const command = {
  name: 'explain',
  summary:
    'Tells which route and rule a request meets, and what would happen to it; nothing is sent. With --request: what became of one, by its id in the log. `explain roles --claims FILE`: which rule gives a user which role.',
  optional: ['METHOD', 'URL'],
  options: {
    config: configOption,
    roles: { type: 'string', value: 'A,B', help: 'of the one who asks; without it: what would be asked of them' },
    claims: {
      type: 'string',
      value: 'FILE',
      help: "of the one who asks, as a JSON object, such as an ID token's; - for standard input",
    },
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
 * FILE`: 0, 1 the log has no such decision or more than one, 2 wrong usage or no readable log. `roles --claims FILE`: 0, 2.
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { config: file, roles, claims: claimsFile, request, log, json = false } = parsed.values
  const [method, url] = parsed.operands
  const wrong = (message: string) => {
    io.stderr.write(`coatcheck explain: ${message}; see coatcheck explain --help\n`)
    return exit.usage
  }
  const loaded = () => loadConfig(resolve(io.cwd, file), { env: io.env })
  if (request !== undefined || log !== undefined) {
    if (request === undefined) return wrong('--log goes with --request ID')
    if (log === undefined) return wrong('--request needs --log FILE, or --log - for standard input')
    if (method !== undefined || roles !== undefined || claimsFile !== undefined)
      return wrong('--request takes no METHOD, URL, --roles or --claims')
    if (!/^[\w-]{1,64}$/.test(request)) return wrong('--request is not an id as the gateway makes them')
    return await explainLogged({ request, log, file, json }, loaded(), io)
  }
  if (method === undefined) return wrong('METHOD is missing')
  if (roles !== undefined && claimsFile !== undefined)
    return wrong('--roles and --claims say the same; give one of them')
  if (method === 'roles') {
    if (url !== undefined) return wrong('roles takes no URL')
    if (claimsFile === undefined) return wrong('roles needs --claims FILE, or --claims - for standard input')
  } else if (url === undefined) return wrong('URL is missing')
  else if (!/^[A-Z][A-Z-]*$/.test(method)) return wrong('METHOD is written in capitals, such as GET')
  let claims: JsonObject | undefined
  try {
    claims = claimsFile === undefined ? undefined : await readClaims(claimsFile, io)
  } catch (error) {
    io.stderr.write(`coatcheck explain: ${(error as Error).message}\n`)
    return exit.usage
  }
  return explainAsked({ method, url, roles, claims, file, json }, loaded(), io)
}

interface AskedByHand {
  readonly method: string
  /** Absent where only the roles are asked for. */
  readonly url: string | undefined
  readonly roles: string | undefined
  readonly claims: JsonObject | undefined
  readonly file: string
  readonly json: boolean
}

function explainAsked(asked: AskedByHand, loaded: Loaded, io: Io): number {
  const { method, url, roles, claims, file, json } = asked
  if (!loaded.config) {
    for (const problem of loaded.problems) io.stderr.write(`${formatProblem({ ...problem, file })}\n`)
    return exit.usage
  }
  const known = { ...loaded, config: loaded.config }
  if (url === undefined) {
    if (claims !== undefined) explainClaims({ claims, file, json }, known, io)
    return exit.ok
  }
  const explanation = explainRequest(loaded.config, {
    method,
    url,
    claims,
    roles: roles
      ?.split(',')
      .map((role) => role.trim())
      .filter(Boolean),
  })
  const { route, refused } = explanation
  const line = route && loaded.lineOf(['routes', route.index])
  const rule = route && known.config.routes[route.index]
  const ofUser = claims && explainRoles(known.config, claims)
  const aws = claims && refused === undefined && rule ? awsRoles(known.config, claims, rule) : []
  if (json) {
    const user = ofUser && { user: withLines(ofUser, known) }
    const told = { ...explanation, ...(line && { line }), ...user, ...(aws.length > 0 && { aws }) }
    io.stdout.write(`${JSON.stringify(told, undefined, 2)}\n`)
    return exit.ok
  }
  const rows = [
    ...rowsOf(explanation.steps, line === undefined ? undefined : `${file}:${line}`),
    ...aws.map((one) => row('aws', describeAws(one))),
    ...(refused === undefined ? [] : [row('answer', `${errors[refused as ErrorCode].status} ${refused}`)]),
    ...(ofUser ? rowsOfRoles(ofUser, known, file) : []),
  ]
  io.stdout.write(`${[method, ...rows].join('\n')}\n`)
  return exit.ok
}
