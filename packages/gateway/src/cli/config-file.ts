import { resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import type { Io } from './options.ts'

/** The configuration that `--config` names; undefined, and all that is wrong with it said, where it is none. */
export function readConfig(name: string, io: Io): Config | undefined {
  const loaded = loadConfig(resolve(io.cwd, name), { env: io.env })
  if (loaded.config) return loaded.config
  for (const problem of loaded.problems) io.stderr.write(`${formatProblem({ ...problem, file: name })}\n`)
  return undefined
}
