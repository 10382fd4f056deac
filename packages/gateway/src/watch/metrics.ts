import { type Aggregator, Counter, Gauge, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client'
import type { EventLog } from '../event-log.ts'
import { type EventCounter, eventCounters, eventMetrics } from './event-metrics.ts'
import { addProcessMetrics } from './process-metrics.ts'
import { createTally, type Tally } from './tally.ts'

/** What is asked for at a scrape only. */
export interface MetricSources {
  /** Requests that are being received or answered now. */
  inFlight(): number
  /** Those of them that wait for an upstream or stream its answer. */
  upstreamInFlight(): number
  /** Tokens that wait for their provider to be told. */
  revocationQueue(): Promise<number>
}

export interface ProviderMetrics {
  /** `error`: a status of 500 or more; `failed`: no answer. */
  request(result: 'ok' | 'error' | 'failed'): void
  circuit(open: boolean): void
}

export interface Metrics {
  readonly tally: Tally
  /** The same log, its events counted. */
  counting(log: EventLog): EventLog
  provider(name: string): ProviderMetrics
  readonly contentType: string
  /** The Prometheus text format. */
  text(): Promise<string>
  /** The same as data, for whoever sums up several processes. */
  values(): Promise<MetricValues>
}

export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[]

const prefix = 'coatcheck_'

/**
 * All metrics of this process, in a registry of its own. What happens on every request is counted in the tally; what is
 * rarer comes from the log's events. @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const tally = createTally()
  const counters = new Map(
    Object.entries(eventCounters).map(([name, { help, labels }]) => [
      name as EventCounter,
      new Counter({ name: `${prefix}${name}_total`, help, labelNames: labels as readonly string[], registers }),
    ]),
  )

  /** A counter whose values lie elsewhere, and are fetched at a scrape. */
  function read(name: string, help: string, label: string, values: () => Iterable<readonly [string, number]>): void {
    new Counter({
      name: `${prefix}${name}_total`,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, count] of values()) this.inc({ [label]: value }, count)
      },
    })
  }

  function ask(
    name: string,
    help: string,
    value: () => number | Promise<number>,
    aggregator: Aggregator = 'sum',
  ): void {
    new Gauge({
      aggregator,
      name: `${prefix}${name}`,
      help,
      registers,
      async collect() {
        // What can't be told now is not a number, and no reason to tell nothing.
        this.set(await Promise.resolve(value()).catch(() => Number.NaN))
      },
    })
  }

  const { decisions, refusals, answers } = tally
  read('requests', 'Requests, by what was decided of them.', 'outcome', () => Object.entries(decisions))
  read('refusals', 'Requests that were refused or failed, by the code that the client saw.', 'code', () =>
    Object.entries(refusals),
  )
  read('upstream_responses', 'Answers of upstreams, by class of status.', 'class', () =>
    [2, 3, 4, 5].map((digit) => [`${digit}xx`, answers[digit] as number] as const),
  )
  read('upstream_failures', 'Requests whose upstream gave no answer.', 'reason', () => [
    ['unavailable', refusals.upstream_unavailable],
    ['timeout', refusals.upstream_timeout],
    ['busy', refusals.upstream_busy],
  ])
  ask('requests_in_flight', 'Requests that are being received or answered now.', sources.inFlight)
  ask('upstream_requests_in_flight', 'Requests that are with an upstream now.', sources.upstreamInFlight)
  ask(
    'token_revocation_queue_length',
    'Tokens that wait for their provider to be told, in the store.',
    sources.revocationQueue,
    // All processes see the same one.
    'max',
  )
  const providerRequests = new Counter({
    name: `${prefix}provider_requests_total`,
    help: 'Requests to providers; error: a status of 500 or more; failed: no answer.',
    labelNames: ['provider', 'result'],
    registers,
  })
  const circuits = new Gauge({
    name: `${prefix}provider_circuit_open`,
    help: '1 while a provider that failed repeatedly is left alone.',
    labelNames: ['provider'],
    registers,
    aggregator: 'max',
  })
  addProcessMetrics(registry)

  /** Series that begin at 0: a first failure is then an increase, which an alert can see. */
  function begin(provider: string): void {
    circuits.set({ provider }, 0)
    for (const result of ['ok', 'error', 'failed']) providerRequests.inc({ provider, result }, 0)
    counters.get('sign_ins')?.inc({ provider, result: 'success' }, 0)
    for (const result of ['done', 'queued', 'refused', 'abandoned'])
      counters.get('token_revocations')?.inc({ provider, result }, 0)
    for (const result of ['success', 'refused', 'reuse', 'unavailable'])
      counters.get('refreshes')?.inc({ provider, result }, 0)
  }

  function count(fields: object): void {
    const { event } = fields as { event?: unknown }
    const row = typeof event === 'string' && Object.hasOwn(eventMetrics, event) ? eventMetrics[event] : undefined
    const counted = row?.(fields as Record<string, unknown>)
    if (counted === undefined) return
    const [name, labels = {}] = counted
    const texts = Object.entries(labels).map(([label, value]) => [label, String(value ?? 'none')])
    counters.get(name)?.inc(Object.fromEntries(texts))
  }

  return {
    tally,
    counting(log) {
      const passing = (level: keyof EventLog) => (fields: object, message?: string) => {
        count(fields)
        log[level](fields, message)
      }
      return { debug: passing('debug'), info: passing('info'), warn: passing('warn'), error: passing('error') }
    },
    provider(provider) {
      begin(provider)
      return {
        request: (result) => providerRequests.inc({ provider, result }),
        circuit: (open) => circuits.set({ provider }, open ? 1 : 0),
      }
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
    values: () => registry.getMetricsAsJSON(),
  }
}
