import { resolve } from 'node:path'
import { type Explanation, explainRequest } from '../access/explanation.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { errors } from '../errors.ts'
import { configOption, exit, type Io, jsonOption, readOptions } from './options.ts'

export const command = {
  name: 'explain',
  summary: 'Tells which route and rule a request meets, and what would happen to it. Nothing is sent.',
  operands: ['METHOD', 'URL'],
  options: {
    config: configOption,
    roles: { type: 'string', value: 'A,B', help: 'of the one who asks; without it: what would be asked of them' },
    json: jsonOption,
  },
} as const

/** `coatcheck explain METHOD URL`: 0 whatever the answer is, 2 wrong usage or a broken configuration. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { config: file, roles, json } = parsed.values
  const [method = '', url = ''] = parsed.operands
  if (!/^[A-Z][A-Z-]*$/.test(method)) {
    io.stderr.write(`coatcheck explain: METHOD is written in capitals, such as GET; see coatcheck explain --help\n`)
    return exit.usage
  }
  const loaded = loadConfig(resolve(io.cwd, file), { env: io.env })
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
      : told(explanation, file, line),
  )
  return exit.ok
}

function told({ method, steps, refused }: Explanation, file: string, line: number | undefined): string {
  const rows = steps.map(({ check, says }, at) => {
    const name = steps[at - 1]?.check === check ? '' : check
    const place = check === 'route' && line !== undefined && name !== '' ? ` (${file}:${line})` : ''
    return `  ${name.padEnd(9)}${says}${place}`
  })
  const answer = refused === undefined ? [] : [`  answer   ${errors[refused as keyof typeof errors].status} ${refused}`]
  return `${[method, ...rows, ...answer].join('\n')}\n`
}
