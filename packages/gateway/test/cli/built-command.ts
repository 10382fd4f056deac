import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { environmentOf } from '../../../testkit/src/config.ts'
import type { World } from '../../../testkit/src/world.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** The built command, as an operator runs it beside the configuration of the world. */
export function coatcheck(world: Pick<World, 'folder'>, ...args: string[]): Promise<Ran> {
  if (!existsSync(main)) throw new Error('run `npm run build` first: this test runs the built command line')
  const env = { PATH: process.env.PATH, ...environmentOf(['corp', 'partner']) }
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: world.folder, env }, (error, out, err) =>
      resolve({ status: error ? Number(error.code) : 0, out, err }),
    )
  })
}
