import { spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { installByApt, succeeds } from './apt.ts'

interface Program {
  readonly command: string
  /** The Debian package that has it. */
  readonly package: string
  /** Shows that it is there and can be started. */
  readonly probe: readonly string[]
  /** The file of our examples that it runs. */
  readonly config: string
  readonly run: (folder: string) => readonly string[]
}

/** Proxies that nobody here wrote, as Debian has them. */
const programs = {
  nginx: {
    command: 'nginx',
    package: 'nginx-light',
    probe: ['-v'],
    config: 'coatcheck.conf',
    run: (folder) => ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')],
  },
  caddy: {
    command: 'caddy',
    package: 'caddy',
    probe: ['version'],
    config: 'Caddyfile',
    run: (folder) => ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'],
  },
  haproxy: {
    command: 'haproxy',
    package: 'haproxy',
    probe: ['-v'],
    config: 'haproxy.cfg',
    run: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
  },
} as const satisfies Record<string, Program>

export type ProxyName = keyof typeof programs

/** What Debian's own nginx.conf would be around a file of conf.d. */
const nginxAround = (folder: string) => `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  include ${folder}/coatcheck.conf;
}
`

/**
 * Makes sure that a proxy can be run; installs it where we may.
 * @throws Error, of one line that says what to install
 */
export function ensureProxy(name: ProxyName, say: (line: string) => void = () => {}): void {
  const { command, package: debian, probe } = programs[name]
  const runs = () => succeeds(command, probe) || succeeds(`/usr/sbin/${command}`, probe)
  if (runs() || (installByApt(debian, say) && runs())) return
  throw new Error(
    `The forward-auth tests need ${name}: run \`sudo apt-get install -y --no-install-recommends ${debian}\`.`,
  )
}

/** The ports that the examples name, and what stands in for them. */
export interface Ports {
  /** Instead of 8000. */
  readonly proxy: number
  /** Instead of 8080. */
  readonly gateway: number
  /** Instead of 3000. */
  readonly application: number
}

export const exampleFolder = fileURLToPath(new URL('../../../examples/forward-auth/', import.meta.url))

/** Runs a proxy with its example configuration; only the ports are replaced. `await using proxy = await startProxy(…)`. */
export async function startProxy(name: ProxyName, ports: Ports): Promise<AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), `coatcheck-${name}-`))
  cpSync(join(exampleFolder, name), folder, { recursive: true })
  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), 'utf8')
    writeFileSync(join(folder, file), withPorts(text, ports))
  }
  // Run by root, nginx works as another user, who must reach its folders for large bodies.
  chmodSync(folder, 0o755)
  if (name === 'nginx') writeFileSync(join(folder, 'nginx.conf'), nginxAround(folder))

  const { command, run, probe } = programs[name]
  const child = spawn(succeeds(command, probe) ? command : `/usr/sbin/${command}`, run(folder), {
    cwd: folder,
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output: string[] = []
  child.stdout.on('data', (chunk) => output.push(String(chunk)))
  child.stderr.on('data', (chunk) => output.push(String(chunk)))
  let ended = false
  const end = new Promise<void>((resolve) => {
    child.once('close', () => {
      ended = true
      resolve()
    })
  })
  // A test that ran out of time never gets to the end of its world.
  const last = () => void child.kill('SIGKILL')
  process.once('exit', last)
  const stop = async () => {
    process.off('exit', last)
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 3000)
    await end
    clearTimeout(timer)
    rmSync(folder, { recursive: true, force: true })
  }
  for (let tries = 0; !(await accepts(ports.proxy)); tries++) {
    if (ended || tries > 200) {
      await stop()
      throw new Error(`${name} does not run its example:\n${output.join('')}`)
    }
    await sleep(50)
  }
  return { [Symbol.asyncDispose]: stop }
}

function withPorts(text: string, ports: Ports): string {
  const instead: Record<string, number> = { 8000: ports.proxy, 8080: ports.gateway, 3000: ports.application }
  return text.replace(/:(8000|8080|3000)\b/g, (_, port: string) => `:${instead[port]}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => done(true)).once('error', () => done(false))
  })
}
