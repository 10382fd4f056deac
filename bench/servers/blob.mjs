// node blob.mjs PORT: GET /api/blob?bytes=N streams N bytes, POST counts what comes and answers the number.
import { createServer } from 'node:http'
import { Readable } from 'node:stream'

const piece = Buffer.alloc(65_536, 'coatcheck')

function* pieces(bytes) {
  for (let left = bytes; left > 0; left -= piece.length) yield left >= piece.length ? piece : piece.subarray(0, left)
}

createServer((request, response) => {
  if (request.method === 'POST') {
    let received = 0
    request.on('data', (data) => {
      received += data.length
    })
    request.on('end', () => response.end(String(received)))
    return
  }
  const bytes = Number(new URL(request.url, 'http://localhost').searchParams.get('bytes'))
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes })
  Readable.from(pieces(bytes)).pipe(response)
}).listen(Number(process.argv[2]), '127.0.0.1')
