import { resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import { formatPath, formatProblem, type Problem } from '../config/problem.ts'
import { configOption, exit, type Io, jsonOption, readOptions } from './options.ts'

export const command = {
  name: 'check',
  summary: 'Validates the configuration: all problems at once, with file, line and path.',
  options: {
    config: configOption,
    online: { type: 'boolean', help: 'also ask each provider, upstream and the store' },
    json: jsonOption,
  },
} as const

/** What `--json` prints. */
interface Report {
  readonly file: string
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  /** What `--online` found wrong. */
  readonly findings: readonly Problem[]
}

/** `coatcheck check`: 0 all is well, 1 findings of `--online`, 2 wrong usage or a broken configuration. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { config: given, online, json } = parsed.values
  const file = resolve(io.cwd, given)
  // Lines name the file as the operator does.
  const shown = (problem: Problem): Problem => ({ ...problem, file: given })

  const report = (result: Omit<Report, 'file'>): void => {
    for (const problem of [...result.problems, ...result.findings]) io.stderr.write(`${formatProblem(problem)}\n`)
    for (const warning of result.warnings) {
      io.stderr.write(`${formatProblem({ ...warning, message: `warning: ${warning.message}` })}\n`)
    }
    if (json) io.stdout.write(`${JSON.stringify({ file: given, ...result }, undefined, 2)}\n`)
  }

  const loaded = loadConfig(file, { env: io.env })
  if (!loaded.config) {
    report({ problems: loaded.problems.map(shown), warnings: [], findings: [] })
    return exit.usage
  }

  const warnings = loaded.warnings.map(shown)
  const findings: Problem[] = []
  if (online) {
    const { askOnline } = await import('./online.ts')
    for (const { path, message, note } of await askOnline(loaded.config)) {
      const problem = { file: given, line: loaded.lineOf(path), path: formatPath(path), message }
      if (note) warnings.push(problem)
      else findings.push(problem)
    }
  }
  report({ problems: [], warnings, findings })
  if (findings.length > 0) return exit.failed
  if (!json)
    io.stdout.write(`${given}: the configuration is valid${online ? ', and everything it names answers' : ''}\n`)
  return exit.ok
}
