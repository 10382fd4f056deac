import cluster, { type Worker } from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Files } from '../config/snapshot.ts'
import type { EventLog } from '../event-log.ts'
import { createMetricsOfAll } from '../watch/metrics-of-all.ts'
import { closeUndelivered } from './hand-over.ts'
import type { Fault, Order, ToPrimary, ToWorker } from './worker-messages.ts'

export interface WorkersOptions {
  readonly count: number
  readonly files: Files
  readonly log: EventLog
  /** Other times than the usual ones. */
  readonly times?: Partial<Times>
}

export interface Workers {
  /**
   * Has all workers change over. One of them first: where that one can't, the rest is not asked.
   * @throws Error of that one
   */
  reload(files: Files): Promise<void>
  /** Has all drain; resolves when they are gone. False if one had to be killed. */
  stop(): Promise<boolean>
  /** Ends all at once. */
  kill(): void
  /** Resolves when no worker stays up: what watches this process can do more about it than another try. */
  readonly gaveUp: Promise<void>
}

/** Milliseconds. */
const usual = {
  /** Who lived for so long did not end by what ended it the last time. */
  steady: 10_000,
  firstPause: 250,
  longestPause: 30_000,
  /** Until a worker is up, or has changed over. */
  patience: 60_000,
  /** Above the grace of requests, and what follows it. */
  drain: 20_000,
  metrics: 1_000,
}

type Times = typeof usual

/** Ends in a row, each before or soon after it served, after which a place counts as hopeless. */
const tries = 5

const silent: Fault = { message: 'the worker does not answer' }

/** One place for a worker: the process in it may change. */
interface Place {
  readonly number: number
  worker: Worker | undefined
  /** The configuration that it runs, by number; 0: none yet. */
  running: number
  /** When its worker began to serve. */
  upSince: number | undefined
  /** Ends in a row that came soon after that, or before it. */
  failures: number
  /** Waits for the worker's next word on a configuration. */
  heard: ((fault: Fault | undefined) => void) | undefined
  /** The last change-over that it was asked for. */
  turn: Promise<unknown>
  /** Until the next try. */
  pause: NodeJS.Timeout | undefined
}

/**
 * Starts the workers and keeps their number. The primary serves no request: it holds the listening sockets, watches, and
 * replaces who ends. Workers are alike, none has a duty of its own: what one of all should do, they settle by leases and
 * claims in the store.
 *
 * Connections are dealt out by the primary in turn (SCHED_RR). Left to the kernel (SCHED_NONE), one worker got 63 of 64
 * kept-alive connections, and then all of their requests. It costs about 0.2 ms of CPU for each connection, none for a request.
 * @throws Error when the first worker can't start, with its message: then none is left
 */
export async function startWorkers({ count, files, log, ...options }: WorkersOptions): Promise<Workers> {
  const times = { ...usual, ...options.times }
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({ serialization: 'advanced' })
  const places = Array.from({ length: count }, (_, at): Place => {
    return { number: at + 1, ...empty, turn: Promise.resolve() }
  })
  const metrics = createMetricsOfAll(() => places.filter(({ running }) => running > 0).length)
  let order = newOrder(1, files)
  let state: 'starting' | 'running' | 'stopping' = 'starting'
  let allGone: () => void = () => {}
  let giveUp: () => void = () => {}
  const gaveUp = new Promise<void>((resolve) => {
    giveUp = resolve
  })
  let answering: Set<Place> | undefined
  let answered: () => void = () => {}
  let collecting: Promise<unknown> = Promise.resolve()

  function fork(place: Place): void {
    const worker = cluster.fork({ COATCHECK_WORKER: String(place.number) })
    place.worker = worker
    place.upSince = undefined
    closeUndelivered(worker)
    worker.on('message', (message: ToPrimary) => hear(place, worker, message))
    // A channel that breaks is followed by `exit`.
    worker.on('error', (err) => log.warn({ event: 'worker_channel_failed', worker: place.number, err }))
    worker.once('exit', (code, signal) => {
      place.worker = undefined
      place.running = 0
      metrics.gone(place.number)
      stopWaiting(place)
      place.heard?.({ message: `the worker ended (${signal ?? `exit status ${code}`})` })
      if (state === 'running') replace(place, { workerPid: worker.process.pid, code, signal })
      else if (places.every((one) => one.worker === undefined)) allGone()
    })
  }

  function hear(place: Place, worker: Worker, message: ToPrimary): void {
    if (message.kind === 'waiting') send(worker, state === 'stopping' ? { kind: 'stop' } : { kind: 'run', order })
    else if (message.kind === 'ended') {
      for (const other of places) if (other.worker && other !== place) send(other.worker, message)
    } else if (place.worker !== worker) {
      // The last words of a dead one: what it says of itself is true no more, and its counts are in the sum already.
      return
    } else if (message.kind === 'metrics') {
      metrics.told(place.number, message.values)
      stopWaiting(place)
    } else if (message.kind === 'want-exposition') void answerWithMetrics(worker, message.id)
    else if (message.kind === 'running') {
      place.running = message.number
      place.upSince ??= performance.now()
      // There was a reload while it started.
      if (place.heard === undefined && message.number !== order.number) void bringAlong(place)
      place.heard?.(undefined)
    } else {
      if (place.heard === undefined)
        log.error({ event: 'worker_failed', worker: place.number, reason: message.fault.message })
      place.heard?.(message.fault)
    }
  }

  function replace(place: Place, end: { workerPid: number | undefined; code: number; signal: string }): void {
    const crashed = end.code !== 0 || end.signal !== null
    // A start that failed is a failure, however long it took.
    const steady = place.upSince !== undefined && performance.now() - place.upSince >= times.steady
    place.failures = steady ? 0 : place.failures + 1
    // The first one is replaced at once; who crashes again and again must not take the processor from the others.
    const pause = place.failures <= 1 ? 0 : Math.min(times.longestPause, times.firstPause * 2 ** (place.failures - 2))
    const fields = { worker: place.number, ...end, pause }
    if (crashed) {
      metrics.crashed()
      log.error({ event: 'sys_crash', ...fields }, 'a worker crashed and is replaced')
    } else log.warn({ event: 'worker_ended', ...fields }, 'a worker ended and is replaced')
    if (places.every(({ running, failures }) => running === 0 && failures >= tries)) {
      log.error({ event: 'workers_gave_up' }, 'no worker stays up')
      giveUp()
      return
    }
    place.pause = setTimeout(() => {
      if (state === 'running') fork(place)
    }, pause)
  }

  /** Resolves with what the worker says of the next configuration that it hears of; undefined: it runs. */
  async function verdict(place: Place): Promise<Fault | undefined> {
    const timer = new AbortController()
    const silence = sleep(times.patience, silent, { signal: timer.signal, ref: false })
    try {
      const said = new Promise<Fault | undefined>((resolve) => {
        place.heard = resolve
      })
      return await Promise.race([said, silence])
    } finally {
      place.heard = undefined
      timer.abort()
      silence.catch(() => {})
    }
  }

  /** One at a time for each worker, each to the newest: what it says must be about what it was asked. */
  function changeOver(place: Place): Promise<Fault | undefined> {
    const turn = place.turn.then(async () => {
      if (place.worker === undefined || place.running === order.number) return undefined
      const said = verdict(place)
      send(place.worker, { kind: 'run', order })
      const fault = await said
      // It serves nobody either.
      if (fault === silent) dismiss(place, fault)
      return fault
    })
    place.turn = turn
    return turn
  }

  /** Another one could change over: who can't is broken in itself. */
  async function bringAlong(place: Place): Promise<void> {
    const fault = await changeOver(place)
    if (fault !== undefined && fault !== silent) dismiss(place, fault)
  }

  /** It drains, and another takes its place. One that is stuck is killed: it must not serve what was taken back. */
  function dismiss({ number, worker }: Place, { message }: Fault): void {
    if (worker === undefined) return
    log.error({ event: 'worker_failed', worker: number, reason: message }, 'it is replaced')
    send(worker, { kind: 'stop' })
    setTimeout(() => worker.process.kill('SIGKILL'), times.drain).unref()
  }

  /** Asks one after the other until one has tried; undefined: it runs, or nobody is up who could have said. */
  async function tryOut(): Promise<Fault | undefined> {
    for (const place of places) {
      if (place.running === 0) continue
      const fault = await changeOver(place)
      // One that ended in between has not tried.
      if (fault !== undefined || place.running === order.number) return fault
    }
    return undefined
  }

  /** Asks all who run, waits for a moment, and answers with what is known: of a stuck one, what it told before. */
  async function answerWithMetrics(worker: Worker, id: number): Promise<void> {
    if (answering === undefined) {
      answering = new Set(places.filter(({ running }) => running > 0))
      const all = new Promise<void>((resolve) => {
        answered = resolve
      })
      collecting = Promise.race([all, sleep(times.metrics)])
      for (const place of answering) if (place.worker) send(place.worker, { kind: 'tell-metrics' })
    }
    await collecting
    answering = undefined
    send(worker, { kind: 'exposition', id, text: await metrics.text() })
  }
  function stopWaiting(place: Place): void {
    if (answering?.delete(place) && answering.size === 0) answered()
  }

  async function start(place: Place): Promise<Fault | undefined> {
    const said = verdict(place)
    fork(place)
    return await said
  }

  function beginToStop(): void {
    state = 'stopping'
    // Else the process would live on until the next try.
    for (const { pause } of places) clearTimeout(pause)
  }

  function kill(): void {
    beginToStop()
    for (const { worker } of places) worker?.process.kill('SIGKILL')
  }

  async function stop(): Promise<boolean> {
    beginToStop()
    if (places.every(({ worker }) => worker === undefined)) return true
    const gone = new Promise<boolean>((resolve) => {
      allGone = () => resolve(true)
    })
    for (const { worker } of places) if (worker) send(worker, { kind: 'stop' })
    const late = new AbortController()
    const drained = await Promise.race([gone, sleep(times.drain, false, late)])
    late.abort()
    if (!drained) {
      kill()
      await gone
    }
    return drained
  }

  // The first one alone: what keeps it from starting would keep them all, and is said once.
  for (const group of [places.slice(0, 1), places.slice(1)]) {
    const faults = await Promise.all(group.map(start))
    const fault = faults.find((one) => one !== undefined)
    if (fault === undefined) continue
    await stop()
    throw Object.assign(new Error(fault.message), { stack: fault.stack })
  }
  state = 'running'
  // One may have ended while the others started.
  for (const place of places) if (place.worker === undefined) fork(place)
  const pids = places.map(({ worker }) => worker?.process.pid)
  log.info({ event: 'workers_started', workers: pids }, 'all workers serve')

  return {
    async reload(files) {
      const before = order
      order = newOrder(before.number + 1, files)
      const fault = await tryOut()
      if (fault === undefined) {
        await Promise.all(places.filter(({ running }) => running > 0).map(bringAlong))
        return
      }
      // Under a number of its own: who started meanwhile with the refused one, or still is at it, changes back.
      const refused = order.number
      order = { ...before, number: refused + 1 }
      await Promise.all(places.filter(({ running }) => running === refused).map(bringAlong))
      throw Object.assign(new Error(fault.message), { stack: fault.stack })
    },
    stop,
    kill,
    gaveUp,
  }
}

const empty = {
  worker: undefined,
  running: 0,
  upSince: undefined,
  failures: 0,
  heard: undefined,
  pause: undefined,
} as const

function newOrder(number: number, files: Files): Order {
  // Fresh ones with each configuration: tickets of a certificate that was taken back resume nothing.
  return { number, files, ticketKeys: randomBytes(48) }
}

/** To one that is about to end, nothing more is said. */
function send(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message)
}
