import type { Socket } from 'node:net'
import { buildConnector } from 'undici'

/**
 * Connects as undici does, over sockets whose end waits for its reader. undici 7 ends the whole process (an assertion in an
 * event of the socket) when an upstream hangs up while its answer waits: for a slow client, or for the guard's word on a 401.
 * One upstream, or one slow client of one that speaks HTTP/1.0, could do that to everybody. undici 8, which needs a newer
 * Node, is mended. @see https://github.com/nodejs/undici/issues/5360
 */
export function createConnector(options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(options)
  return (target, callback) =>
    connect(target, (...[error, socket]) => {
      if (error !== null) callback(error, null)
      else callback(null, endingWhenRead(socket))
    })
}

/**
 * The parser asks for more, by `read()`, unless it is paused: whether it would ask now is found out by telling it that there
 * is something to read. A reset is told under another name than ECONNRESET, which undici takes for such an end.
 */
function endingWhenRead<S extends Socket>(socket: S): S {
  const { push, read, destroy } = socket
  let ended = false
  let asked = false
  let asking = false

  function tellEnd(): void {
    asking = true
    asked = false
    socket.emit('readable')
    asking = false
    if (!asked || socket.readableLength > 0) return
    ended = false
    push.call(socket, null)
  }

  socket.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk !== null) return push.call(socket, chunk, encoding)
    ended = true
    process.nextTick(tellEnd)
    return false
  }
  socket.read = (size?: number) => {
    if (size === undefined) {
      asked = true
      // It goes on; what it makes of this may pause it again.
      if (ended && !asking) process.nextTick(tellEnd)
    }
    return read.call(socket, size)
  }
  socket.destroy = (error?: Error) => {
    const reset = (error as NodeJS.ErrnoException | undefined)?.code === 'ECONNRESET'
    return destroy.call(socket, reset ? new Error('the upstream reset the connection', { cause: error }) : error)
  }
  return socket
}
