import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { launchChromium } from '../../../testkit/src/chromium.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** The demo as `npm start` runs it, on free ports, with its data in a temporary folder. */
export async function startDemo(...args: string[]) {
  if (!existsSync(main)) throw new Error('run `npm run build` first: this test runs the built command line')
  const cwd = mkdtempSync(join(tmpdir(), 'coatcheck-demo-'))
  const child = spawn(process.execPath, [main, 'demo', '--port', '0', ...args], {
    cwd,
    env: { PATH: process.env.PATH },
  })
  let text = ''
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
  const printed = (pattern: RegExp) => pattern.exec(text)?.[1] ?? ''
  const dispose = async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(cwd, { recursive: true, force: true })
  }
  try {
    await expect.poll(() => text, { timeout: 20_000 }).toMatch(/Stop +Ctrl/)
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    cwd,
    printed,
    origin: printed(/Open +(\S+)/),
    before: printed(/Compare with +(\S+)/),
    async stop(): Promise<number | null> {
      child.kill('SIGTERM')
      return ended
    },
    [Symbol.asyncDispose]: dispose,
  }
}

export async function browse(args: string[] = []) {
  const browser = await launchChromium({ args })
  const page = await browser.newPage()
  page.setDefaultTimeout(15_000)
  return { page, [Symbol.asyncDispose]: () => browser.close() }
}
