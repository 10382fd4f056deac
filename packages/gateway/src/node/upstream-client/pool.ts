import { Connection, type ConnectionHost } from './connection.ts'
import {
  UpstreamFault,
  type UpstreamHandler,
  type UpstreamPool,
  type UpstreamPoolOptions,
  type UpstreamRequest,
} from './contract.ts'
import { createOpener } from './open-socket.ts'
import { createHeadWriter } from './request-head.ts'
import { Task } from './task.ts'

function forget(list: Connection[], connection: Connection): void {
  const at = list.indexOf(connection)
  if (at !== -1) list.splice(at, 1)
}

const usuallyTidyAt = 1000
/** Times as many connections as are counted may be beside them: event streams of public routes have no other bound. */
const apartAtMost = 64
/** How often connections that have been unused for too long are closed, in milliseconds. */
const sweepInterval = 1000

/**
 * The connections to one upstream, `http://host:port` or `https://…`.
 * @throws for an origin that is no such URL
 */
export function createUpstreamPool(origin: string, options: UpstreamPoolOptions = {}): UpstreamPool {
  const { connections = 128, connectTimeout = 10_000 } = options
  const { host, open } = createOpener(origin, options.tls)
  const writeHead = createHeadWriter(host)
  const all = new Set<Connection>()
  /** Those that are not counted. */
  const apart = new Set<Connection>()
  /** Free, and read since they became so. The one that was used last is used next: the others may grow old and go. */
  const idle: Connection[] = []
  /** Free, perhaps since this turn of the loop only. */
  const resting: Connection[] = []
  let queue: (Task | undefined)[] = []
  let next = 0
  /** How many may wait before it is looked whether somebody still waits for them. */
  let tidyAt = usuallyTidyAt
  let waking = false
  let closing = false
  /** Sockets that are not closed yet. */
  let sockets = 0
  let whenGone: (() => void)[] = []
  let sweeper: NodeJS.Timeout | undefined

  const connectionHost: ConnectionHost = {
    maxHeaderSize: options.maxHeaderSize ?? 64 * 1024,
    connectTimeout,
    keepAliveTimeout: options.keepAliveTimeout ?? 4000,
    now: () => performance.now(),
    open(listener) {
      const socket = open(listener)
      sockets++
      return socket
    },
    freed(connection) {
      if (closing && next === queue.length) {
        connection.cut()
        return
      }
      resting.push(connection)
      if (next < queue.length) wake()
    },
    left(connection) {
      if (apart.size >= apartAtMost * connections) return false
      all.delete(connection)
      apart.add(connection)
      if (next < queue.length) wake()
      return true
    },
    lost(connection, again) {
      all.delete(connection)
      apart.delete(connection)
      forget(idle, connection)
      forget(resting, connection)
      if (again !== undefined) connect(again)
      if (next < queue.length) wake()
    },
    gone() {
      sockets--
      if (sockets === 0) clearInterval(sweeper)
      settle()
    },
  }

  /**
   * Requests are written at the end of the loop's turn, when all that the kernel had received is read: by then a connection
   * that was closed, or on which an answer to nothing arrived, is known and gone (response queue poisoning,
   * GHSA-35p6-xmwp-9g52 in undici). Such an answer mostly comes right behind another one, so a connection that became free
   * since the last time rests until the kernel was asked once more. One callback serves all requests of a turn.
   */
  function wake(): void {
    if (waking) return
    waking = true
    setImmediate(serve)
  }

  function serve(): void {
    waking = false
    while (next < queue.length) {
      if (queue[next]?.gone) {
        take()
        continue
      }
      const connection = takeIdle()
      if (connection !== undefined) connection.send(take())
      // Who finds a connection resting is better off waiting for it.
      else if (all.size < connections && queue.length - next > resting.length) connect(take())
      else break
    }
    if (resting.length > 0) {
      idle.push(...resting.splice(0))
      if (next < queue.length) wake()
    }
    settle()
  }

  function take(): Task {
    const task = queue[next] as Task
    queue[next++] = undefined
    // The places are given back now and then, since a busy queue may never be empty.
    if (next === queue.length || next === 1000) {
      queue = queue.slice(next)
      next = 0
    }
    return task
  }

  /** Clients that leave while they wait would fill the queue of a busy upstream: requests for nobody, heads and all. */
  function tidy(): void {
    queue = queue.slice(next).filter((task) => task?.gone === false)
    next = 0
    tidyAt = Math.max(usuallyTidyAt, 2 * queue.length)
  }

  function takeIdle(): Connection | undefined {
    for (;;) {
      const connection = idle.pop()
      if (connection === undefined || connection.expiresAt > performance.now()) return connection
      connection.cut()
    }
  }

  function sweep(): void {
    const now = performance.now()
    for (const connection of idle.filter(({ expiresAt }) => expiresAt <= now)) connection.cut()
  }

  function connect(task: Task): void {
    if (sockets === 0) sweeper = setInterval(sweep, sweepInterval).unref()
    try {
      all.add(new Connection(connectionHost, task))
    } catch (error) {
      task.fail(error as Error)
    }
  }

  function settle(): void {
    if (!closing || sockets > 0 || next < queue.length) return
    for (const resolve of whenGone) resolve()
    whenGone = []
  }

  function gone(): Promise<void> {
    return new Promise((resolve) => {
      whenGone.push(resolve)
      settle()
    })
  }

  return {
    dispatch(request: UpstreamRequest, handler: UpstreamHandler) {
      try {
        if (closing) throw new UpstreamFault('UPSTREAM_ABORTED', 'the pool is closed')
        const task = new Task(request, handler, writeHead(request))
        queue.push(task)
        if (queue.length - next > tidyAt) tidy()
        // Its beginning is here when the head is written. Its error always finds somebody, also while the request waits.
        request.body?.on('error', (error) => task.fail(error)).read(0)
      } catch (error) {
        request.body?.destroy()
        handler.onError(error as Error)
        return true
      }
      wake()
      return true
    },
    apart: () => apart.size,
    close() {
      closing = true
      for (const connection of [...idle, ...resting]) connection.cut()
      return gone()
    },
    destroy(error = new UpstreamFault('UPSTREAM_ABORTED', 'the pool is closed')) {
      closing = true
      const waiting = queue.slice(next) as Task[]
      queue = []
      next = 0
      for (const task of waiting) task.fail(error)
      for (const connection of [...all, ...apart]) connection.fail(error)
      return gone()
    },
  }
}
