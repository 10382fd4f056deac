import cluster from 'node:cluster'
import type { Files } from '../config/snapshot.ts'
import type { EndReason, SessionId } from '../session/store.ts'
import type { MetricValues } from '../watch/metrics.ts'
import type { Order, ToPrimary, ToWorker } from './worker-messages.ts'

export interface WorkerDuties {
  /** Starts with a configuration, or changes over to it. @throws Error if it can't */
  run(files: Files, ticketKeys: Buffer): Promise<void>
  metrics(): Promise<MetricValues>
  /** A session ended at another worker. */
  endedElsewhere(id: SessionId, reason: EndReason): void
}

export interface WorkerEnd {
  /** It never ran. */
  readonly failed: boolean
}

/** The number of this worker, from 1; undefined in any other process. */
export function workerNumber(): number | undefined {
  const number = Number(process.env.COATCHECK_WORKER)
  return cluster.isWorker && Number.isInteger(number) && number > 0 ? number : undefined
}

export interface Primary {
  /** The metrics of all workers together. */
  exposition(): Promise<string>
  /** Tells the other workers that a session ended. */
  ended(id: SessionId, reason: EndReason): void
  /** Does what the primary says; resolves when it is time to end. */
  obey(duties: WorkerDuties): Promise<WorkerEnd>
  /** Says goodbye, and ends the process. */
  leave(): void
}

/** Milliseconds until a primary that does not answer counts as stuck. */
const patience = 5_000

/**
 * This worker's side. It ends by itself when its primary is gone, however that died: node:cluster ends a worker whose channel
 * closes. Nobody could stop it, replace it or hand it connections any more.
 */
export function connectToPrimary(): Primary {
  const asked = new Map<number, (text: string) => void>()
  let count = 0
  let running = false

  function tell(message: ToPrimary): void {
    // Undefined while the channel closes: nobody hears.
    if (process.connected) process.send?.(message)
  }

  async function run({ number, files, ticketKeys }: Order, duties: WorkerDuties): Promise<void> {
    try {
      await duties.run(files, Buffer.from(ticketKeys))
      running = true
      tell({ kind: 'running', number })
    } catch (error) {
      const { message, stack } = error instanceof Error ? error : new Error(String(error))
      tell({ kind: 'refused', number, fault: { message, stack } })
    }
  }

  return {
    exposition: () =>
      new Promise((resolve, reject) => {
        const id = ++count
        const timer = setTimeout(() => {
          asked.delete(id)
          reject(new Error('the primary does not answer'))
        }, patience)
        asked.set(id, (text) => {
          clearTimeout(timer)
          asked.delete(id)
          resolve(text)
        })
        tell({ kind: 'want-exposition', id })
      }),

    ended: (id, reason) => tell({ kind: 'ended', id, reason }),

    obey: (duties) =>
      new Promise((resolve) => {
        let work = Promise.resolve()
        process.on('message', (message: ToWorker) => {
          if (message.kind === 'run') {
            work = work.then(async () => {
              await run(message.order, duties)
              if (!running) resolve({ failed: true })
            })
          } else if (message.kind === 'stop') resolve({ failed: false })
          else if (message.kind === 'exposition') asked.get(message.id)?.(message.text)
          else if (message.kind === 'ended') duties.endedElsewhere(message.id, message.reason)
          else if (running) void duties.metrics().then((values) => tell({ kind: 'metrics', values }))
        })
        // A terminal sends Ctrl+C to all of the group, and a closed one SIGHUP: the primary says what follows from it.
        process.on('SIGINT', () => {})
        process.on('SIGHUP', () => {})
        process.on('SIGTERM', () => resolve({ failed: false }))
        tell({ kind: 'waiting' })
      }),

    leave() {
      // With the exit status that is set by then.
      process.once('disconnect', () => process.exit())
      cluster.worker?.disconnect()
    },
  }
}
