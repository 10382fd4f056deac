import { type Connection, hasUnreadBody } from './connection.ts'

/** A body that comes more slowly than this, in bytes per look, is an attack or a dead line. */
const pittance = 1024

/**
 * Cuts clients that neither send nor read: slow POST and slow read attacks hold a connection, and an upstream's with it,
 * for almost nothing. One look at all connections now and then costs less than a timer for each request, and knows
 * who is waited for: a client isn't stalled while an upstream makes it wait, and a quiet event stream has nothing to read.
 */
export function watchForStalled(connections: ReadonlySet<Connection>, interval: number): () => void {
  const timer = setInterval(() => {
    for (const connection of connections) {
      if (isStalled(connection)) connection.socket.destroy()
    }
  }, interval)
  timer.unref()
  return () => clearInterval(timer)
}

function isStalled(connection: Connection): boolean {
  const { socket, request, seenRead, seenWaiting, seenWritten } = connection
  const waiting = socket.writableLength
  const written = socket.bytesWritten
  connection.seenRead = socket.bytesRead
  connection.seenWaiting = waiting
  connection.seenWritten = written
  // The answer has not moved since the last look.
  if (waiting > 0 && waiting === seenWaiting && written === seenWritten) return true
  if (request === undefined || !hasUnreadBody(request) || request.isPaused()) return false
  // Only a request that was there at the last look had the whole interval to send something.
  const same = connection.seenRequest === request
  connection.seenRequest = request
  return same && socket.bytesRead - seenRead < pittance
}
