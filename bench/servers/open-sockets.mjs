// node open-sockets.mjs URL ORIGIN COUNT COOKIES: opens COUNT WebSockets, with the cookies of a file in turns, sends one message over
// each, prints `open` once every answer has come, and holds them until it is ended.
import { readFileSync } from 'node:fs'
import { WebSocket } from 'ws'

const [, , url, origin, count, cookieFile] = process.argv
const cookies = readFileSync(cookieFile, 'utf8').split('\n')
/** So many handshakes at a time: a crowd would measure the queue. */
const lanes = 64
const held = []

function open(number) {
  const cookie = `__Host-Http-session=${cookies[number % cookies.length]}`
  const socket = new WebSocket(url, { origin, headers: { cookie }, perMessageDeflate: false })
  held.push(socket)
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', (code) => reject(new Error(`closed with ${code}`)))
    socket.on('open', () => socket.send(`hello ${number}`))
    socket.once('message', (data) => {
      if (String(data) === `hello ${number}`) resolve()
      else reject(new Error(`socket ${number} heard ${data}`))
    })
  })
}

let next = 0
async function lane() {
  while (next < Number(count)) {
    next += 1
    await open(next - 1)
  }
}
await Promise.all(Array.from({ length: lanes }, lane))
console.log('open')
