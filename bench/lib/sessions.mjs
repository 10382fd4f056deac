import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gatewayProgram } from '../peers/coatcheck.mjs'
import { benchFolder, Missing } from './parts.mjs'
import { start } from './process.mjs'

/** Runs one of bench's scripts to its end and throws what it printed if it failed. */
export async function runScript(name, args, { core, log }) {
  if (!existsSync(gatewayProgram)) throw new Missing('the gateway is not built: npm run build')
  const script = join(benchFolder, 'servers', name)
  const child = start(process.execPath, [script, ...args.map(String)], { core, log })
  if ((await child.exited) !== 0) throw new Error(readFileSync(log, 'utf8'))
  return readFileSync(log, 'utf8')
}

/**
 * Puts `count` sessions into the store of the configuration folder `home`; answers their `Cookie` headers. Their access
 * tokens run out in twelve hours, or within one second from `expiry` on.
 */
export async function writeSessions({ home, count, core, expiry, issuer }) {
  mkdirSync(home, { recursive: true })
  const times = expiry === undefined ? [] : [expiry, issuer]
  await runScript('fill-sessions.mjs', [home, count, ...times], { core, log: join(home, 'fill.log') })
  const cookies = readFileSync(join(home, 'cookies.txt'), 'utf8').split('\n')
  return cookies.map((value) => `__Host-Http-session=${value}`)
}
