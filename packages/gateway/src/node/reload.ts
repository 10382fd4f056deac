import { formatProblem } from '../config/problem.ts'
import { changedSections, restartNeeded } from '../config/restart.ts'
import type { Config } from '../config/schema.ts'
import { readSnapshot, type Snapshot } from '../config/snapshot.ts'
import type { Environment } from '../config/surroundings.ts'
import type { EventLog } from '../event-log.ts'
import { watchFiles } from './config-watch.ts'

export interface ReloadOptions {
  /** The absolute path of the configuration. */
  readonly file: string
  /** As the operator wrote it, for messages. */
  readonly name: string
  readonly env: Environment
  readonly log: EventLog
  /** What runs now. */
  readonly running: Snapshot & { readonly loaded: { readonly config: Config } }
  /** Puts a configuration in force. @throws Error if it can't; then the one before must be in force still */
  apply(next: { readonly config: Config; readonly files: Snapshot['files'] }): Promise<void>
}

export interface Reloading {
  /** No more reloads; resolves when the last one is done. */
  stop(): Promise<void>
}

/**
 * Reads the configuration again at SIGHUP, and when one of its files changes: itself, a secret, a certificate, a key. It is
 * taken as a whole or not at all, so that what runs is always what once stood in a file.
 */
export function reloadOnChange(options: ReloadOptions): Reloading {
  const { file, name, env, log, apply } = options
  let running = options.running.loaded.config
  /** The last one that was read, be it refused: the same one again is no news. */
  let read: Snapshot = options.running
  let wanted: 'signal' | 'change' | undefined
  let working: Promise<void> | undefined
  let stopped = false

  async function once(why: 'signal' | 'change'): Promise<void> {
    const next = readSnapshot(file, env)
    const news = why === 'signal' || !isSame(next, read)
    read = next
    watch.follow(next.stamps)
    if (!news) return
    const { config } = next.loaded
    if (config === undefined) {
      refused('the configuration has errors', { problems: lines(next.loaded.problems) })
      return
    }
    const fixed = restartNeeded(running, config)
    if (fixed.length > 0) {
      refused(`restart needed for: ${fixed.join(', ')}`, { restartNeeded: fixed })
      return
    }
    await apply({ config, files: next.files })
    const changed = changedSections(running, config)
    running = config
    const warnings = lines(next.loaded.warnings)
    log.info(
      { event: 'sys_config_reloaded', why, changed, ...(warnings.length > 0 && { warnings }) },
      'the configuration was reloaded',
    )
  }

  function refused(reason: string, fields: object): void {
    log.error({ event: 'sys_config_refused', reason, ...fields }, 'the configuration before stays in force')
  }

  function lines(problems: readonly Parameters<typeof formatProblem>[0][]): string[] {
    return problems.map((problem) => formatProblem({ ...problem, file: name }))
  }

  /** One at a time; what is asked for meanwhile is done once, afterwards. */
  function ask(why: 'signal' | 'change'): void {
    if (stopped) return
    wanted = wanted === 'signal' ? wanted : why
    working ??= work().finally(() => {
      working = undefined
    })
  }

  async function work(): Promise<void> {
    while (wanted !== undefined && !stopped) {
      const why = wanted
      wanted = undefined
      await once(why).catch((err: unknown) => refused('it could not be put in force', { err }))
    }
  }

  const watch = watchFiles(() => ask('change'))
  watch.follow(options.running.stamps)
  const onSignal = () => ask('signal')
  process.on('SIGHUP', onSignal)

  return {
    async stop() {
      stopped = true
      watch.close()
      process.removeListener('SIGHUP', onSignal)
      // Else the default would end the process in the middle of its drain.
      process.on('SIGHUP', () => {})
      await working
    },
  }
}

/** The texts decide: an editor that saves what was there, or `touch`, changes nothing. Other files only have their stamps. */
function isSame(one: Snapshot, other: Snapshot): boolean {
  return (
    one.stamps.size === other.stamps.size &&
    [...one.stamps].every(([file, stamp]) => {
      if (!other.stamps.has(file)) return false
      const [text, before] = [one.files.get(file), other.files.get(file)]
      return text === before && (text !== undefined || stamp === other.stamps.get(file))
    })
  )
}
