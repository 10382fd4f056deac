// node live.mjs PORT: an API that stays on the line. GET sends one event at once and keeps the stream open; a WebSocket
// gets every message back.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write('data: here\n\n')
})
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('message', (data) => socket.send(data))
  // A client that is gone is no news.
  socket.on('error', () => socket.terminate())
})
server.listen(Number(process.argv[2]), '127.0.0.1', 1024)
