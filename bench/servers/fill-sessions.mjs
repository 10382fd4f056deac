// node fill-sessions.mjs HOME COUNT [EXPIRY ISSUER]: writes sessions through the gateway's own session module into the lmdb
// store of a configuration folder, and their cookies, one a line, into HOME/cookies.txt. With EXPIRY (milliseconds since the
// epoch) the access tokens run out within one second from then on, evenly.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openKeyFile } from '../../packages/gateway/dist/session/key-file.js'
import { createSessions } from '../../packages/gateway/dist/session/sessions.js'
import { createLmdbStore } from '../../packages/gateway/dist/stores/lmdb.js'

const [, , home, count, expiry, issuer = 'http://127.0.0.1:9'] = process.argv
const hour = 3_600_000
const store = createLmdbStore({ path: join(home, 'data/sessions'), now: Date.now })
const sessions = createSessions({
  store,
  ring: openKeyFile(join(home, 'coatcheck.keys'), Date.now),
  timeouts: { idle: 8 * hour, absolute: 12 * hour, rotate: 8 * hour, grace: 30_000 },
  now: Date.now,
  rolesOf: () => [],
  onEvent: () => {},
  onFault: (fault) => {
    throw fault
  },
})

/** Text of a token's size; a token set of about 3 KB is what providers with a few groups hand out. */
const token = (bytes) => randomBytes(bytes).toString('base64url')

function create(number) {
  const session = {
    subject: { iss: issuer, sub: `user-${number}` },
    provider: 'bench',
    providerSid: token(16),
    authenticatedAt: Date.now(),
    roles: ['reader', 'editor'],
    claims: { name: 'Ada Lovelace', email: `user-${number}@example.com` },
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36',
    address: '127.0.0.1',
  }
  const tokens = {
    accessToken: token(900),
    accessTokenExpiresAt: expiry
      ? Number(expiry) + Math.floor((number * 1000) / Number(count))
      : Date.now() + 12 * hour,
    obtainedAt: Date.now(),
    refreshToken: `${number}.${token(300)}`,
    idToken: token(900),
    signIn: { iss: issuer, iat: Math.floor(Date.now() / 1000) },
  }
  return sessions.create(session, tokens)
}

const cookies = []
for (let done = 0; done < Number(count); done += 1000) {
  const batch = Math.min(1000, Number(count) - done)
  cookies.push(...(await Promise.all(Array.from({ length: batch }, (_, i) => create(done + i)))))
}
await store.close()
writeFileSync(join(home, 'cookies.txt'), cookies.join('\n'))
