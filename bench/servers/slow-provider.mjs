// node slow-provider.mjs PORT LATENCY: a provider of which only the token endpoint works. It answers after LATENCY milliseconds,
// rotates refresh tokens, and refuses one that was redeemed already. GET /counts says how often each session's was redeemed.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const [, , port, latency] = process.argv
const issuer = `http://127.0.0.1:${port}`
const redeemed = new Set()
const counts = {}

const metadata = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['RS256'],
}

function redeem(form) {
  const token = form.get('refresh_token') ?? ''
  const session = token.slice(0, token.indexOf('.'))
  counts[session] = (counts[session] ?? 0) + 1
  if (redeemed.has(token)) return [400, { error: 'invalid_grant' }]
  redeemed.add(token)
  const next = `${session}.${randomBytes(300).toString('base64url')}`
  const access_token = randomBytes(675).toString('base64url')
  return [200, { access_token, token_type: 'Bearer', expires_in: 3600, refresh_token: next }]
}

const server = createServer(async (request, response) => {
  let body = ''
  for await (const piece of request.setEncoding('utf8')) body += piece
  let [status, document] = [404, {}]
  if (request.url === '/.well-known/openid-configuration') [status, document] = [200, metadata]
  else if (request.url === '/jwks') [status, document] = [200, { keys: [] }]
  else if (request.url === '/counts') [status, document] = [200, counts]
  else if (request.url === '/token') {
    await sleep(Number(latency))
    ;[status, document] = redeem(new URLSearchParams(body))
  }
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document))
})
server.listen(Number(port), '127.0.0.1', 4096)
