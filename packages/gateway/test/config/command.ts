import type { Io } from '../../src/cli/options.ts'
import { env } from './folder.ts'

export interface Output {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command with an outside that only records. */
export async function output(
  run: (args: readonly string[], io: Io) => Promise<number>,
  args: readonly string[],
  cwd = '/nowhere',
): Promise<Output> {
  const written = { stdout: '', stderr: '' }
  const status = await run(args, {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env,
    cwd,
  })
  return { status, ...written }
}
