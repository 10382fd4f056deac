// node signing-cost.mjs MILLISECONDS ROUNDS: CPU time of one signature, ours and @smithy/signature-v4's in turns; prints JSON.
import { createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import { createSigner, hashOf, hashOfNothing } from '../../packages/gateway/dist/upstream/aws/signature.js'
import { signableTarget } from '../../packages/gateway/dist/upstream/aws/target.js'

const [, , milliseconds, rounds] = process.argv.map(Number)
const scope = { service: 'execute-api', region: 'eu-west-1' }
const host = 'a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com'
const credentials = {
  accessKeyId: 'ASIABENCHBENCHBENCH0',
  secretAccessKey: 'k'.repeat(40),
  sessionToken: 't'.repeat(1000),
  expiresAt: Number.MAX_SAFE_INTEGER,
}

/** Node's own hashes for the other: what is compared is the signers, not SHA-256 in JavaScript. */
class Sha256 {
  #hash
  constructor(secret) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
  }
  update(data) {
    this.#hash.update(data)
  }
  async digest() {
    return new Uint8Array(this.#hash.digest())
  }
}

const ours = createSigner(scope)
const theirs = new SignatureV4({ ...scope, credentials, sha256: Sha256 })
const path = '/prod/orders/1234'
const query = '?limit=20&sort=name'
const at = Date.UTC(2026, 10, 26, 13, 45)

const signers = {
  ours(body) {
    const target = signableTarget(path, query, 'encoded-twice')
    const payloadHash = body.length === 0 ? hashOfNothing : hashOf(body)
    const contentType = 'application/json'
    return ours.sign({ method: 'POST', target, host, contentType, payloadHash, at }, credentials).at(-1)
  },
  async smithy(body) {
    const headers = { host, 'content-type': 'application/json' }
    const request = {
      method: 'POST',
      protocol: 'https:',
      hostname: host,
      path,
      query: { limit: '20', sort: 'name' },
      headers,
    }
    const signed = await theirs.sign({ ...request, body }, { signingDate: new Date(at) })
    return signed.headers.authorization
  },
}

/** µs of CPU for each call, over about so many milliseconds. */
async function cost(sign, body) {
  const until = performance.now() + milliseconds
  const before = process.cpuUsage()
  let calls = 0
  while (performance.now() < until) {
    for (let i = 0; i < 50; i += 1) await sign(body)
    calls += 50
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

const signatureIn = (header) => /Signature=([0-9a-f]{64})/.exec(header)?.[1]
const figures = {}
for (const bytes of [0, 1024, 1024 * 1024]) {
  const body = Buffer.alloc(bytes, 'x')
  const samples = { ours: [], smithy: [] }
  for (const sign of Object.values(signers)) await cost(sign, body)
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? ['ours', 'smithy'] : ['smithy', 'ours']
    for (const name of order) samples[name].push(await cost(signers[name], body))
  }
  // Different headers are signed (theirs signs its hash of the body as well), so only that both are signatures is compared.
  for (const sign of Object.values(signers)) if (!signatureIn(await sign(body))) throw new Error('it signed nothing')
  figures[bytes] = samples
}
console.log(JSON.stringify(figures))
