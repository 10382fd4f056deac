import { resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { startGateway } from '../start.ts'
import { configOption, exit, type Io, readOptions } from './options.ts'
import { untilStopped } from './until-stopped.ts'

export const command = {
  name: 'start',
  summary: 'Runs the gateway until SIGTERM or SIGINT; requests in flight finish first.',
  options: { config: configOption },
} as const

/** `coatcheck start`: 0 after a graceful stop, 2 for a broken configuration (all problems at once). */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const given = parsed.values.config
  const loaded = loadConfig(resolve(io.cwd, given), { env: io.env })
  const problems = loaded.config ? loaded.warnings : loaded.problems
  for (const problem of problems) io.stderr.write(`${formatProblem({ ...problem, file: given })}\n`)
  if (!loaded.config) return exit.usage

  const gateway = await startGateway({ config: loaded.config })
  await untilStopped()
  await gateway.close()
  return exit.ok
}
