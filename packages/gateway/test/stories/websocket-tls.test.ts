import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import { createCertificate } from '../../src/demo/certificate.ts'
import { startSecondProcess } from './second-gateway.ts'
import { liveWorld, openSocket, refusalOf } from './sockets.ts'

test('wss: the upstream’s certificate is checked before the credential leaves', async () => {
  const seen: unknown[] = []
  const certificate = await createCertificate()
  const server = createServer(certificate)
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket, request) => {
    seen.push(request.headers.authorization)
    socket.on('message', (data) => socket.send(String(data)))
  })
  const url = `wss://localhost:${await listen(server)}`
  try {
    await using world = await liveWorld({ url }, { store: 'lmdb', live: { credential: 'access-token' } })
    const ada = await world.signedIn()
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    for (const variable of [undefined, '0']) {
      // No variable of the environment switches the check off.
      if (variable !== undefined) process.env.NODE_TLS_REJECT_UNAUTHORIZED = variable
      const refused = await refusalOf(openSocket(world, ada)).finally(() => {
        if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
        else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
      })
      expect([refused.status, refused.code, seen]).toEqual([502, 'upstream_unavailable', []])
    }

    // A gateway that was told to trust it.
    const file = join(world.folder, 'upstream.pem')
    writeFileSync(file, certificate.cert)
    await using second = await startSecondProcess(world, { NODE_EXTRA_CA_CERTS: file })
    using live = await openSocket(world, ada, '/live', { at: second.url })
    live.socket.send('over TLS')
    await expect.poll(() => live.messages).toEqual(['over TLS'])
    expect(seen).toEqual([expect.stringMatching(/^Bearer /)])
  } finally {
    for (const socket of sockets.clients) socket.terminate()
    await closeServer(server)
  }
}, 30_000)
