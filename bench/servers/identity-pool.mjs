// node identity-pool.mjs PORT: an identity pool as far as a gateway asks one. Answers after 100 ms, checks nothing, counts.
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const counts = { GetId: 0, GetCredentialsForIdentity: 0 }

const answers = {
  GetId: { IdentityId: 'eu-west-1:00000000-0000-0000-0000-000000000001' },
  GetCredentialsForIdentity: {
    Credentials: {
      AccessKeyId: 'ASIABENCHBENCHBENCH0',
      SecretKey: 'k'.repeat(40),
      // As long as a real one.
      SessionToken: 't'.repeat(1000),
      Expiration: Math.floor(Date.now() / 1000) + 6 * 3600,
    },
  },
}

createServer(async (request, response) => {
  request.resume()
  if (request.url === '/counts') {
    response.end(JSON.stringify(counts))
    return
  }
  const name = String(request.headers['x-amz-target'] ?? '').replace(/^.*\./, '')
  if (name in counts) counts[name] += 1
  await sleep(100)
  response.writeHead(name in answers ? 200 : 400, { 'content-type': 'application/x-amz-json-1.1' })
  response.end(JSON.stringify(answers[name] ?? { __type: 'UnknownOperationException' }))
}).listen(Number(process.argv[2]), '127.0.0.1')
