// The clients of the endurance run: each plays one user, does one thing after the other, and checks that every answer is its own.
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { apiHeaders } from './headers.mjs'

/** What an upstream that is down may be answered with. */
const outage = new Set([502, 503, 504])

/**
 * Starts the clients. `stop()` ends them and resolves, when the last one is done, to `{ done, outages, wrong, refused }`: how often each thing was
 * done, answers of an upstream that was down, answers that were somebody else's, and answers that should not have been.
 */
export function startMixedLoad({ origin, users, leavers }) {
  const seen = { done: {}, outages: 0, wrong: [], refused: [] }
  const agent = new Agent({ keepAlive: true })
  let over = false

  /** One exchange; resolves to undefined where it was broken off by us or, of the dying upstream, by its death. */
  function exchange(user, path, { method = 'GET', body, headers = {}, cutAfter } = {}) {
    const mark = randomBytes(9).toString('base64url')
    const sent = { ...apiHeaders(origin, user.cookie), ...headers, 'X-Mark': mark }
    return new Promise((resolve) => {
      const outgoing = request(`${origin}${path}`, { method, headers: sent, agent }, (answer) => {
        const pieces = []
        let size = 0
        answer.on('data', (piece) => {
          pieces.push(piece)
          size += piece.length
          if (cutAfter !== undefined && size > cutAfter) outgoing.destroy()
        })
        const finish = (whole) =>
          resolve({
            status: answer.statusCode,
            headers: answer.headers,
            text: Buffer.concat(pieces).toString(),
            whole,
            mark,
          })
        answer.on('end', () => finish(true))
        answer.on('error', () => finish(false))
      })
      outgoing.on('error', (cause) => resolve({ status: 0, headers: {}, text: cause.message, whole: false, mark }))
      outgoing.end(body)
    })
  }

  /** Whether the answer is one to this request of this user, down to its last byte. */
  function check(user, path, answer, dying) {
    const expected = `${user.sub} ${answer.mark}`
    if (answer.status !== 200) {
      const broken = dying && (outage.has(answer.status) || answer.status === 0)
      if (broken) seen.outages += 1
      else seen.refused.push(`${path}: ${answer.status} ${answer.text.slice(0, 200)}`)
      return false
    }
    if (answer.headers['x-mark'] !== expected) seen.wrong.push(`${path}: ${answer.headers['x-mark']} for ${expected}`)
    return true
  }

  const place = () => (randomInt(3) === 0 ? { at: '/dying', dying: true } : { at: '/api', dying: false })

  const things = {
    async get(user) {
      const { at, dying } = place()
      const answer = await exchange(user, `${at}/echo?wait=${randomInt(20)}`)
      if (!check(user, at, answer, dying) || !answer.whole) return
      const { mark } = JSON.parse(answer.text)
      if (mark !== `${user.sub} ${answer.mark}`) seen.wrong.push(`body of ${at}: ${mark}`)
    },
    async post(user) {
      const { at, dying } = place()
      const body = randomBytes(randomInt(1, 200_000))
      const answer = await exchange(user, `${at}/echo`, { method: 'POST', body })
      if (!check(user, at, answer, dying) || !answer.whole) return
      const hash = createHash('sha256').update(body).digest('hex')
      if (JSON.parse(answer.text).body !== hash) seen.wrong.push(`an upload to ${at} came as another`)
    },
    async download(user) {
      const { at, dying } = place()
      const answer = await exchange(user, `${at}/large`)
      if (!check(user, at, answer, dying)) return
      const line = `${user.sub} ${answer.mark}\n`.padEnd(64, '.')
      const expected = line.repeat(8192)
      if (answer.whole ? answer.text !== expected : !expected.startsWith(answer.text))
        seen.wrong.push(`${at}/large: other bytes`)
      if (!answer.whole && !dying) seen.refused.push(`${at}/large: cut at ${answer.text.length}`)
    },
    async leaveEarly(user) {
      const { at, dying } = place()
      const answer = await exchange(user, `${at}/large`, { cutAfter: randomInt(300_000) })
      if (answer.status !== 0) check(user, at, answer, dying)
    },
    async events(user) {
      const { at, dying } = place()
      const answer = await exchange(user, `${at}/events`, { headers: { Accept: 'text/event-stream' }, cutAfter: 100 })
      if (!check(user, at, answer, dying)) return
      const event = `data: ${user.sub} ${answer.mark}\n\n`
      if (answer.text.replaceAll(event, '') !== '') seen.wrong.push(`${at}/events: ${answer.text.slice(0, 200)}`)
    },
    webSocket(user) {
      const word = randomBytes(9).toString('base64url')
      const socket = new WebSocket(`${origin.replace('http', 'ws')}/live`, { origin, headers: { cookie: user.cookie } })
      return new Promise((resolve) => {
        socket.on('open', () => socket.send(word))
        socket.on('message', (data) => {
          if (String(data) !== `${user.sub} ${word}`) seen.wrong.push(`WebSocket: ${data}`)
          socket.close()
        })
        socket.on('error', (cause) => seen.refused.push(`WebSocket: ${cause.message}`))
        socket.on('close', resolve)
      })
    },
    async noCookie() {
      const answer = await exchange({ cookie: '' }, '/api/echo')
      if (answer.status !== 401) seen.wrong.push(`no cookie: ${answer.status}`)
    },
    /** Heads that no server may take for a request; each ends its connection. */
    async garbage() {
      const heads = [
        'GET /api/echo HTTP/1.1\r\nHost: a\r\nHost: b',
        'GET  / HTTP/1.1',
        `POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked`,
        randomBytes(200).toString('latin1'),
      ]
      const answer = await raw(origin, `${heads[randomInt(heads.length)]}\r\n\r\n`)
      if (answer !== '' && !/^HTTP\/1\.1 4\d\d /.test(answer)) seen.wrong.push(`garbage: ${answer.slice(0, 100)}`)
    },
  }

  async function live(user) {
    const names = Object.keys(things)
    while (!over) {
      const name = names[randomInt(names.length)]
      await things[name](user)
      seen.done[name] = (seen.done[name] ?? 0) + 1
    }
  }

  /** Users who call, sign out, and are refused from then on. */
  async function leave() {
    while (!over && leavers.length > 0) {
      const user = leavers.pop()
      await Promise.all([things.get(user), things.post(user), things.download(user)])
      const out = await exchange(user, '/auth/logout', { method: 'POST' })
      const after = await exchange(user, '/api/echo')
      if (out.status !== 200 || after.status !== 401) seen.wrong.push(`sign-out: ${out.status}, then ${after.status}`)
      seen.done.signOut = (seen.done.signOut ?? 0) + 1
    }
  }

  const running = Promise.all([...users.map(live), leave()])
  return {
    seen,
    async stop() {
      over = true
      await running
      agent.destroy()
      return seen
    },
  }
}

/** All that the server says to these bytes until it ends the connection. */
function raw(origin, bytes) {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1', () => socket.write(bytes, 'latin1'))
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece) => {
      text += piece
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}
