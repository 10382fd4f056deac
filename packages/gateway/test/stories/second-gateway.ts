import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { environmentOf } from '../../../testkit/src/config.ts'
import { reservePort } from '../../../testkit/src/listen.ts'
import type { World } from '../../../testkit/src/world.ts'

/** The gateway of a world once more, as another process on the same folder: `coatcheck start`. */
export async function startSecondProcess(world: World, env: Record<string, string> = {}) {
  const port = await reservePort()
  const config = JSON.parse(readFileSync(join(world.folder, 'coatcheck.yaml'), 'utf8')) as Record<string, object>
  const file = join(world.folder, 'second.yaml')
  writeFileSync(file, JSON.stringify({ ...config, admin: undefined, listen: { ...config.listen, port } }))
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
  if (!existsSync(main)) throw new Error('run `npm run build` first: this test runs the built command line')
  const child = spawn(process.execPath, [main, 'start', '-c', file], {
    env: { PATH: process.env.PATH, ...environmentOf(['corp']), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  const lines: string[] = []
  const ready = new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => lines.push(String(chunk)))
    child.stdout.on('data', (chunk: Buffer) => {
      lines.push(String(chunk))
      if (lines.join('').includes('"event":"started"')) resolve()
    })
    void exited.then(() => reject(new Error(`it did not start: ${lines.join('')}`)))
  })
  await ready
  return {
    url: `http://127.0.0.1:${port}`,
    get log() {
      return lines.join('')
    },
    /** Ends it as an operator does; resolves with its exit status. */
    async stop(): Promise<number | null> {
      child.kill('SIGTERM')
      return (await exited)[0] as number | null
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await exited
    },
  }
}
