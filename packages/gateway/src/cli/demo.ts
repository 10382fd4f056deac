import { relative, resolve } from 'node:path'
import { startCognitoDemo } from '../demo/cognito/start.ts'
import { defaultPort } from '../demo/ports.ts'
import type { RunningDemo } from '../demo/running.ts'
import { startDemo } from '../demo/start.ts'
import { exit, type Io, readOptions } from './options.ts'
import { untilStopped } from './until-stopped.ts'

export const command = {
  name: 'demo',
  summary:
    'Everything at work in one process: provider, gateway, sample app and API, and a page to compare with. With --cognito: the way from Okta or Salesforce through Amazon Cognito to AWS, without an AWS account.',
  options: {
    cognito: { type: 'boolean', help: 'a stand-in of Amazon Cognito and AWS in place of the plain provider' },
    https: { type: 'boolean', help: 'with a self-signed certificate, made at start' },
    port: {
      type: 'string',
      value: 'N',
      help: `the port of the app; 0 takes any (default: ${defaultPort}, or the next free)`,
    },
    data: {
      type: 'string',
      value: 'DIR',
      help: 'where sessions, key ring and log are kept (default: data/demo, or data/demo-cognito)',
    },
  },
} as const

/** `coatcheck demo`: 0 after SIGTERM or SIGINT, 1 when it can't start, 2 for wrong usage. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { cognito = false, https = false, port: wanted } = parsed.values
  const data = resolve(io.cwd, parsed.values.data ?? (cognito ? 'data/demo-cognito' : 'data/demo'))
  if (wanted !== undefined && !(/^\d{1,5}$/.test(wanted) && Number(wanted) <= 65_535)) {
    io.stderr.write(`coatcheck demo: --port is a number from 0 to 65535, not ${JSON.stringify(wanted.slice(0, 40))}\n`)
    return exit.usage
  }
  let demo: RunningDemo
  try {
    const start = cognito ? startCognitoDemo : startDemo
    demo = await start({ https, port: wanted === undefined ? undefined : Number(wanted), data })
  } catch (error) {
    io.stderr.write(`coatcheck demo: ${error instanceof Error ? error.message : String(error)}\n`)
    return exit.failed
  }
  const folder = relative(io.cwd, data)
  const about = {
    folder: folder.startsWith('..') ? data : folder,
    moved: wanted === undefined && demo.port !== defaultPort,
  }
  io.stdout.write(describe(demo, about))
  await untilStopped()
  await demo.close()
  return exit.ok
}

function describe(demo: RunningDemo, { folder, moved }: { folder: string; moved: boolean }): string {
  const { certificate } = demo
  const rows: RunningDemo['rows'] = [
    ['Open', demo.origin],
    ...(certificate
      ? [
          [
            'Certificate',
            'self-signed: the browser will warn, once for each address. Go on if this is what it shows:',
            `SHA-256 ${certificate.fingerprint}`,
            `Chromium accepts it with --ignore-certificate-errors-spki-list=${certificate.spki}`,
          ] as const,
        ]
      : []),
    ...demo.rows,
    ['Data', `${folder}  sessions (sealed), key ring, log`],
    ['Stop', 'Ctrl+C'],
  ]
  const note = moved ? `  Port ${defaultPort} is taken.\n` : ''
  const lines = rows.flatMap(([name, ...texts]) =>
    texts.map((text, i) => `  ${(i === 0 ? name : '').padEnd(14)}${text}\n`),
  )
  return `\nCoatcheck demo\n\n${note}${lines.join('')}\n`
}
