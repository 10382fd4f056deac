import { availableParallelism } from 'node:os'
import type { Config } from './schema.ts'

/** How many processes serve under a configuration: it changes with a restart only. `auto`: as many as there are cores. */
export function workerCount({ workers }: Pick<Config, 'workers'>): number {
  return workers === 'auto' ? availableParallelism() : workers
}
