import { resolve } from 'node:path'
import type { Logger } from 'pino'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { readerOf, readSnapshot, type Snapshot } from '../config/snapshot.ts'
import { workerCount } from '../config/worker-count.ts'
import { createLog } from '../log.ts'
import { type ReloadOptions, reloadOnChange } from '../node/reload.ts'
import { connectToPrimary, workerNumber } from '../node/worker.ts'
import { startWorkers } from '../node/workers.ts'
import { type RunningGateway, startGateway } from '../start.ts'
import { configOption, exit, type Io, readOptions } from './options.ts'
import { untilStopped } from './until-stopped.ts'

export const command = {
  name: 'start',
  summary:
    'Runs the gateway until SIGTERM or SIGINT; requests in flight finish first. SIGHUP reloads the configuration.',
  options: { config: configOption },
} as const

/** `coatcheck start`: 0 after a graceful stop, 2 for a broken configuration (all problems at once). */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const name = parsed.values.config
  const file = resolve(io.cwd, name)
  const number = workerNumber()
  if (number !== undefined) return await work(file, { io, number })

  const running = readSnapshot(file, io.env)
  const { loaded } = running
  const problems = loaded.config ? loaded.warnings : loaded.problems
  for (const problem of problems) io.stderr.write(`${formatProblem({ ...problem, file: name })}\n`)
  if (!loaded.config) return exit.usage

  const count = workerCount(loaded.config)
  const reloading = { file, name, env: io.env, running: { ...running, loaded } }
  return count === 1 ? await alone(loaded.config, reloading) : await together(count, loaded.config, reloading)
}

type Reload = Omit<ReloadOptions, 'apply' | 'log'> & { readonly running: Snapshot }

async function alone(config: Config, reload: Reload): Promise<number> {
  const log = createLog({ level: config.log.level })
  // From the beginning: by default SIGHUP ends the process. What it asks for waits until there is something to change.
  const reloading = reloadOnChange({ ...reload, log, apply: async (next) => changeOver(await starting, log, next) })
  const starting = startGateway({ config, readFile: readerOf(reload.running.files), log })
  const gateway = await starting
  await untilStopped()
  await reloading.stop()
  await gateway.close()
  return exit.ok
}

/** The primary: see node/workers.ts. */
async function together(count: number, config: Config, reload: Reload): Promise<number> {
  const log = createLog({ level: config.log.level, base: { pid: process.pid } })
  let stopping = false
  const stopped = untilStopped().then(() => {
    stopping = true
  })
  const reloading = reloadOnChange({
    ...reload,
    log,
    async apply({ config, files }) {
      await (await starting).reload(files)
      log.level = config.log.level
    },
  })
  const starting = startWorkers({ count, files: reload.running.files, log })
  const workers = await starting.catch((error: unknown) => {
    // A signal to all of the group while they start: that ends them too, and is no failure.
    if (!stopping) throw error
  })
  if (workers === undefined) return exit.ok
  await Promise.race([stopped, workers.gaveUp])
  // Somebody is in a hurry.
  const now = (signal: NodeJS.Signals) => {
    workers.kill()
    process.removeListener('SIGTERM', now)
    process.removeListener('SIGINT', now)
    process.kill(process.pid, signal)
  }
  process.on('SIGTERM', now)
  process.on('SIGINT', now)
  await reloading.stop()
  const drained = await workers.stop()
  log.info({ event: 'stopped', drained }, 'coatcheck has stopped')
  return drained && stopping ? exit.ok : exit.failed
}

/** A worker: runs what the primary has read, and reads nothing itself. */
async function work(file: string, { io, number }: { io: Io; number: number }): Promise<number> {
  const primary = connectToPrimary()
  let running: { gateway: RunningGateway; log: Logger } | undefined
  const { failed } = await primary.obey({
    async run(files, ticketKeys) {
      const readFile = readerOf(files)
      const loaded = loadConfig(file, { env: io.env, readFile })
      if (loaded.config === undefined) throw new Error(loaded.problems.map(formatProblem).join('; '))
      const { config } = loaded
      if (running) {
        await changeOver(running.gateway, running.log, { config, files, ticketKeys })
        return
      }
      const log = createLog({ level: config.log.level, base: { pid: process.pid, worker: number } })
      const shared = { ticketKeys, exposition: primary.exposition, ended: primary.ended }
      running = { log, gateway: await startGateway({ config, readFile, log, shared }) }
    },
    endedElsewhere: (id, reason) => running?.gateway.endedElsewhere(id, reason),
    metrics: async () => (await running?.gateway.metrics.values()) ?? [],
  })
  await running?.gateway.close()
  primary.leave()
  return failed ? exit.failed : exit.ok
}

async function changeOver(
  gateway: RunningGateway,
  log: Logger,
  { config, files, ticketKeys }: { config: Config; files: Snapshot['files']; ticketKeys?: Buffer },
): Promise<void> {
  await gateway.reload({ config, readFile: readerOf(files), ...(ticketKeys && { ticketKeys }) })
  log.level = config.log.level
}
