import { createServer, type Socket } from 'node:net'
import { listen } from '../../../testkit/src/listen.ts'
import { statusesOf } from '../../../testkit/src/raw.ts'
import type { World } from '../../../testkit/src/world.ts'
import { openWire } from '../node/carrier.ts'

/** What came back over a bare socket. */
export interface Answered {
  readonly text: string
  readonly statuses: number[]
  /** The gateway ended the connection; false: it waited for more until the test's patience ended. */
  readonly closed: boolean
}

/** How long to wait for a gateway that should close: only a failing test waits so long. */
const patience = 15_000

/** A user's requests as bytes. */
export interface WireUser {
  readonly host: string
  /** The header lines of an honest call, each with its line end; no blank line. */
  readonly own: string
  /** Sends bytes and waits for the end of the connection. */
  send(bytes: string): Promise<Answered>
  /** An honest call with this target and these further header lines, the last one of its connection. */
  call(target: string, lines?: string, method?: string): Promise<Answered>
}

/** A signed-in user (nobody, without `as`) who writes requests by hand. */
export async function wireUser(world: World, as?: string): Promise<WireUser> {
  const { host } = new URL(world.origin)
  const browser = as === undefined ? world.browser('nobody') : await world.signedIn({ browser: as, as })
  const cookie = browser.cookies().map((one) => one.cookieString())
  const own = [
    `Host: ${host}\r\n`,
    ...(cookie.length > 0 ? [`Cookie: ${cookie.join('; ')}\r\n`] : []),
    `X-CSRF: 1\r\nOrigin: ${world.origin}\r\n`,
  ].join('')
  const send = (bytes: string) => exchange(world.port, bytes)
  return {
    host,
    own,
    send,
    call: (target, lines = '', method = 'GET') =>
      send(`${method} ${target} HTTP/1.1\r\n${own}${lines}Connection: close\r\n\r\n`),
  }
}

async function exchange(port: number, bytes: string): Promise<Answered> {
  const wire = await openWire(port, bytes)
  const closed = await Promise.race([
    wire.closed.then(() => true),
    new Promise<false>((resolve) => setTimeout(resolve, patience, false).unref()),
  ])
  wire.socket.destroy()
  return { text: wire.received, statuses: statusesOf(wire.received), closed }
}

/** An upstream that answers bytes as they are, and ends the connection after them if asked. */
export async function rawUpstream() {
  const heads: string[] = []
  const sockets = new Set<Socket>()
  const state = { answer: '', end: false }
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      heads.push(chunk.toString('latin1'))
      if (state.answer !== '') socket.write(state.answer, 'latin1')
      if (state.end) socket.end()
    })
  })
  const url = `http://127.0.0.1:${await listen(server)}`
  return {
    url,
    /** What reached it, as bytes. */
    heads,
    /** Its connections. */
    sockets,
    answers(answer: string, { end = false } = {}) {
      Object.assign(state, { answer, end })
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
