import { readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { type Aggregator, Counter, Gauge, type Registry } from 'prom-client'

/**
 * The process itself, under the names that dashboards know. All of it is read at a scrape: the library's own set would keep
 * observers of the event loop and the garbage collector running for as long as the process lives.
 */
export function addProcessMetrics(registry: Registry): void {
  const registers = [registry]
  const startedAt = Math.round(Date.now() / 1000 - process.uptime())

  const counter = (name: string, help: string, value: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(value())
      },
    })
  const gauge = (name: string, help: string, value: () => number, aggregator: Aggregator = 'sum') =>
    new Gauge({
      name,
      help,
      registers,
      aggregator,
      collect() {
        this.set(value())
      },
    })

  const cpu = () => process.cpuUsage()
  counter('process_cpu_user_seconds_total', 'User CPU time.', () => cpu().user / 1e6)
  counter('process_cpu_system_seconds_total', 'System CPU time.', () => cpu().system / 1e6)
  counter('process_cpu_seconds_total', 'User and system CPU time.', () => (cpu().user + cpu().system) / 1e6)
  gauge('process_start_time_seconds', 'Start of the process, in seconds since the epoch.', () => startedAt, 'min')
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
  gauge('process_open_fds', 'Open file descriptors.', openDescriptors)
  gauge('nodejs_heap_size_total_bytes', 'Size of the heap.', () => process.memoryUsage().heapTotal)
  gauge('nodejs_heap_size_used_bytes', 'Used part of the heap.', () => process.memoryUsage().heapUsed)
  gauge('nodejs_external_memory_bytes', 'Memory of buffers, outside of the heap.', () => process.memoryUsage().external)

  let before = performance.eventLoopUtilization()
  const utilization = () => {
    const now = performance.eventLoopUtilization()
    const since = performance.eventLoopUtilization(now, before)
    before = now
    return since.utilization
  }
  const busy = 'Busy part of the event loop since the last scrape, from 0 to 1.'
  gauge('nodejs_eventloop_utilization', busy, utilization, 'average')
}

/** Not a number where the system doesn't tell. */
function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return Number.NaN
  }
}
