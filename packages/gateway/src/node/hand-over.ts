import type { Worker } from 'node:cluster'

/** What goes over the channel of node:cluster when the primary deals out a connection, and when the worker has it. */
interface ClusterMessage {
  readonly act?: unknown
  readonly seq?: unknown
  readonly ack?: unknown
}

type Send = (message: ClusterMessage, handle?: { close?(): void }, ...rest: unknown[]) => boolean

/**
 * Closes the connections that were being handed to a worker when it died. node:cluster forgets them, with the primary's end
 * open: nobody would ever answer their clients, who would wait as long as they have patience, and each would hold a
 * descriptor. Of thirty kills under load, twenty-four left such a connection.
 *
 * It listens in on messages that Node does not document. Should another version name them otherwise, those connections hang
 * as they did; nothing else depends on it.
 */
export function closeUndelivered(worker: Worker): void {
  const channel = worker.process as unknown as Omit<Worker['process'], 'send'> & { send: Send }
  const handed = new Map<unknown, { close?(): void }>()
  const send = channel.send.bind(channel)
  channel.send = (message, handle, ...rest) => {
    if (handle && message.act === 'newconn') handed.set(message.seq, handle)
    return send(message, handle, ...rest)
  }
  // The primary closes its own end when the worker says that it has the other.
  channel.on('internalMessage', ({ ack }: ClusterMessage) => handed.delete(ack))
  const over = () => {
    for (const handle of handed.values()) handle.close?.()
    handed.clear()
  }
  // Whichever comes first: until the second, node:cluster may still try.
  worker.on('disconnect', over)
  worker.on('exit', over)
}
