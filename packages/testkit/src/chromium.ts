import { accessSync, constants } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { installByApt, succeeds } from './apt.ts'

const places = [
  '/usr/lib/chromium/chromium',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/**
 * The path of a Chromium that can be started: `CHROMIUM_PATH`, an installed one, one that apt installs where we may, or
 * the one that the package @sparticuz/chromium carries.
 * @throws Error, of one line that says what to install
 */
export async function findChromium(say: (line: string) => void = () => {}): Promise<string> {
  const wanted = process.env.CHROMIUM_PATH
  if (wanted) {
    if (runs(wanted)) return wanted
    throw new Error(`CHROMIUM_PATH is ${wanted}, which does not start; unset it, or name a Chromium that does.`)
  }
  const found = installed() ?? (installByApt('chromium', say) ? installed() : undefined) ?? (await carried(say))
  if (found !== undefined) return found
  throw new Error(
    `The browser tests need Chromium: run \`sudo apt-get install -y --no-install-recommends chromium\`, or set CHROMIUM_PATH.`,
  )
}

function installed(): string | undefined {
  return places.find(runs)
}

/** There, executable, and not lacking a library. */
function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
  } catch {
    return false
  }
  return succeeds(path, ['--version'])
}

/** Unpacked into the temporary folder at first use; needs no system package. */
async function carried(say: (line: string) => void): Promise<string | undefined> {
  try {
    const { default: packed } = await import('@sparticuz/chromium')
    const path = await packed.executablePath()
    if (!runs(path)) return undefined
    say('Using the Chromium of @sparticuz/chromium.')
    return path
  } catch {
    return undefined
  }
}

export interface LaunchOptions {
  /** More switches. */
  readonly args?: readonly string[]
  /** Look at it: needs a screen. */
  readonly headed?: boolean
}

/** Starts Chromium under playwright-core. `await using browser = await launchChromium()`. */
export async function launchChromium({ args = [], headed = false }: LaunchOptions = {}): Promise<Browser> {
  const quiet = ['--disable-quic', '--disable-background-networking', '--disable-component-update']
  // Chromium's sandbox refuses to run as root.
  const root = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({
    executablePath: await findChromium(),
    headless: !headed,
    args: [...root, ...quiet, ...args],
  })
}
