// node marking-api.mjs PORT: an API whose every answer says for which request and which user it is, so that a client notices
// when it got another's.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer } from 'ws'

const server = createServer(async (request, response) => {
  // An exchange that is broken off is part of the game.
  for (const part of [request, response]) part.on('error', () => {})
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  const mark = `${request.headers['x-coatcheck-user']} ${request.headers['x-mark']}`
  response.setHeader('x-mark', mark)
  if (pathname.endsWith('/events')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => response.write(`data: ${mark}\n\n`), 100)
    response.on('close', () => clearInterval(timer))
    return
  }
  if (pathname.endsWith('/large')) {
    const line = Buffer.from(`${mark}\n`.padEnd(64, '.'))
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.end(Buffer.concat(Array.from({ length: 8192 }, () => line)))
    return
  }
  const hash = createHash('sha256')
  try {
    for await (const piece of request) hash.update(piece)
  } catch {
    return
  }
  await sleep(Number(searchParams.get('wait') ?? 0))
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ mark, path: pathname, body: hash.digest('hex') }))
})
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket, request) => {
  socket.on('message', (data) => socket.send(`${request.headers['x-coatcheck-user']} ${data}`))
  socket.on('error', () => socket.terminate())
})
server.listen(Number(process.argv[2]), '127.0.0.1', 1024)
