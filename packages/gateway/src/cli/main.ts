#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { nearest } from '../config/explain.ts'
import { exit, type Io } from './options.ts'

/** One row a command; its code is loaded only when it is called. */
const commands = {
  start: { summary: 'run the gateway', load: () => import('./start.ts') },
  demo: { summary: 'see everything at work: provider, gateway, sample app and API', load: () => import('./demo.ts') },
  check: { summary: 'validate the configuration', load: () => import('./check.ts') },
  explain: {
    summary: 'tell which rule a request meets, or met: by its id in the log',
    load: () => import('./explain.ts'),
  },
  keys: { summary: 'the key ring: generate, rotate, list', load: () => import('./keys.ts') },
  sessions: { summary: 'list sessions, or end them', load: () => import('./sessions.ts') },
  users: { summary: 'list who has signed in, disable or enable them', load: () => import('./users.ts') },
  schema: { summary: "print the configuration's JSON Schema", load: () => import('./schema.ts') },
} as const

type CommandName = keyof typeof commands

/** Dispatches to a command and gives the exit status: 0 success, 1 failure found, 2 wrong usage or configuration. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args
  if (name === '--version' || name === '-v') {
    const file = new URL('../../package.json', import.meta.url)
    io.stdout.write(`${JSON.parse(readFileSync(file, 'utf8')).version}\n`)
    return exit.ok
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const stream = name === undefined ? io.stderr : io.stdout
    stream.write(usage())
    return name === undefined ? exit.usage : exit.ok
  }
  if (!Object.hasOwn(commands, name)) {
    const near = nearest(name, Object.keys(commands))
    const hint = near === undefined ? '' : `, did you mean ${near}?`
    io.stderr.write(`coatcheck: unknown command ${JSON.stringify(name.slice(0, 80))}${hint}; see coatcheck --help\n`)
    return exit.usage
  }
  const { run } = await commands[name as CommandName].load()
  return await run(rest, io)
}

function usage(): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
  return [
    'Usage: coatcheck COMMAND [options]',
    '',
    ...rows,
    '',
    'coatcheck COMMAND --help shows the options of a command.',
    '',
  ].join('\n')
}

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
}).catch((error: unknown) => {
  // A port that is taken, a key ring that can't be read: one line that says so. The stack is for those who ask.
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`coatcheck: ${process.env.COATCHECK_DEBUG && error instanceof Error ? error.stack : message}\n`)
  return exit.failed
})
