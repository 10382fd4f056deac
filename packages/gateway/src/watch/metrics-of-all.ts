import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client'
import type { MetricValues } from './metrics.ts'

/** The metrics of several processes as one: counters summed up, and no process that ends takes its counts with it. */
export interface MetricsOfAll {
  /** What a process says of itself now. */
  told(process: number, values: MetricValues): void
  /** Its counters stay in the sum, as it told them last: a sum that falls would look like a restart of everything. */
  gone(process: number): void
  crashed(): void
  /** The Prometheus text format. */
  text(): Promise<string>
}

export function createMetricsOfAll(workers: () => number): MetricsOfAll {
  const known = new Map<number, MetricValues>()
  let past: MetricValues[] = []
  let last: Promise<unknown> = Promise.resolve()
  const own = new Registry()
  const registers = [own]
  const crashes = new Counter({
    name: 'coatcheck_worker_crashes_total',
    help: 'Workers that ended by themselves and were replaced.',
    registers,
  })
  new Gauge({
    name: 'coatcheck_workers',
    help: 'Workers that serve now.',
    registers,
    collect() {
      this.set(workers())
    },
  })

  async function sumUp(): Promise<string> {
    const all = [...known.values(), ...past, await own.getMetricsAsJSON()]
    // A worker that crashes for a year is still one row.
    past = [await AggregatorRegistry.aggregate(past.splice(0)).getMetricsAsJSON(), ...past]
    return await AggregatorRegistry.aggregate(all as object[]).metrics()
  }

  return {
    told: (process, values) => void known.set(process, values),
    gone(process) {
      const counters = known.get(process)?.filter(({ type }) => String(type) === 'counter')
      known.delete(process)
      if (counters) past.push(counters)
    },
    crashed: () => crashes.inc(),
    text() {
      // In turn: the row of the past is away while it is made anew, and a second scrape would see the counters fall.
      const text = last.then(sumUp)
      last = text.catch(() => {})
      return text
    },
  }
}
