// Children of the bench: started pinned to a core, accounted by tree, ended by pid whatever happens.
import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { request as requestSecurely } from 'node:https'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const live = new Set()

/** The cores this process may use; a server gets the first, the load and the upstream the second. */
export function cores() {
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]
  const all = list.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
  if (all.length < 2) throw new Error('the bench needs two cores: one for the server, one for the load')
  return { server: all[0], load: all[1] }
}

/**
 * Starts a program on one core. `setpriv --pdeathsig` ends it even if this process is killed outright;
 * both helpers exec, so the pid is the program's own.
 */
export function start(command, args, { core, log, env = {}, cwd } = {}) {
  const out = openSync(log, 'a')
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', 'taskset', '-c', String(core), command, ...args], {
    stdio: ['ignore', out, out],
    env: { ...process.env, ...env },
    cwd,
  })
  closeSync(out)
  let over = false
  const exited = new Promise((resolve) => {
    child.once('exit', resolve)
    child.once('error', resolve)
  }).then((code) => {
    over = true
    live.delete(handle)
    return code
  })
  const handle = {
    pid: child.pid,
    log,
    /** Resolves to the exit code, or null where a signal ended it. */
    exited,
    running: () => !over,
    async stop() {
      if (!over) child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
      await exited
      clearTimeout(timer)
    },
  }
  live.add(handle)
  return handle
}

/** How many files and sockets a process may have open, its limit lifted as far as it goes. */
export function mostFiles() {
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1])
}

/** The same command with the limit of open files lifted as far as it goes. */
export const withMostFiles = (command) => ['prlimit', `--nofile=${mostFiles()}`, ...command]

export async function stopAll() {
  await Promise.all([...live].map((handle) => handle.stop()))
}

process.once('exit', () => {
  for (const handle of live) process.kill(handle.pid, 'SIGTERM')
})

/** Resolves when something answers HTTP on the port; rejects with the end of the log when the child died or is too slow. */
export async function ready(handle, port, { path = '/', seconds = 20, secure = false } = {}) {
  const send = secure ? requestSecurely : request
  const until = Date.now() + seconds * 1000
  for (;;) {
    const answered = await new Promise((resolve) => {
      // The certificate is of the bench's own making.
      const options = { port, path, host: '127.0.0.1', agent: false, rejectUnauthorized: false }
      const probe = send(options, (answer) => {
        answer.destroy()
        resolve(true)
      })
      probe.on('error', () => resolve(false))
      probe.end()
    })
    if (answered) return
    if (!handle.running() || Date.now() > until) {
      throw new Error(`did not start: ${readFileSync(handle.log, 'utf8').trim().split('\n').slice(-3).join(' ')}`)
    }
    await sleep(100)
  }
}

/** A port that nobody listens on. */
export async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** pid, parent and CPU ticks of a process; undefined once it is gone. */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command may contain spaces and brackets: fields are counted from the last ')'.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number)
    return { parent: Number(fields[1]), own: utime + stime, ended: cutime + cstime }
  } catch {
    return undefined
  }
}

function descendants(root) {
  const parents = new Map()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = stat(name)?.parent
    if (parent !== undefined) parents.set(Number(name), parent)
  }
  const tree = [root]
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child)
  return tree
}

const MICROSECONDS_PER_TICK = 1e6 / 100 // USER_HZ is 100 on every Linux that Node runs on

/** User and system CPU time in µs of a process, its threads and all its children, ended ones included. */
export function cpuMicroseconds(root) {
  let ticks = 0
  for (const pid of descendants(root)) {
    const figures = stat(pid)
    if (figures) ticks += figures.own + figures.ended
  }
  return ticks * MICROSECONDS_PER_TICK
}

/**
 * Resident memory of one process in bytes. `own` is what only it has (heap, stacks, buffers); `mapped` are pages of
 * files such as the lmdb map, which live in the page cache, are shared by processes and given back under pressure.
 */
export function residentBytes(pid) {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kilobytes = (name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return { own: kilobytes('RssAnon') * 1024, mapped: (kilobytes('RssFile') + kilobytes('RssShmem')) * 1024 }
}
