import { expect } from 'vitest'
import { parseCookieValue } from '../../../src/session/cookie-value.ts'
import type { SessionId } from '../../../src/session/store.ts'
import { writeInterval } from '../../../src/session/timeouts.ts'
import { type Node, type Nodes, timeouts } from './nodes.ts'
import type { Grant } from './provider.ts'

/** What the model knows of one session, without looking into the gateway. */
export interface Known {
  readonly id: SessionId
  readonly grant: Grant
  readonly createdAt: number
  /** The newest cookie value that reached the browser. */
  cookie: string
  /** A copy that somebody took, and when its original was replaced in the browser. */
  copies: string[]
  lastSeenAt: number
  /** When an end of it was acknowledged: logout, revocation, a step-up or sign-in in its place. */
  endedAt: number | undefined
  ending: boolean
  /** A copy of its cookie was used: from then on the gateway may end it. */
  exposed: boolean
  /** Activity that a process had not written yet may be lost: it crashed, or all of them slept. */
  forgotten: boolean
}

const slack = writeInterval(timeouts)

/** Browsers, a thief, and what must be true of every answer that they get. */
export class Users {
  readonly known: Known[] = []
  readonly #nodes: Nodes

  constructor(nodes: Nodes) {
    this.#nodes = nodes
  }

  get #now(): number {
    return this.#nodes.clock.now()
  }

  pick(at: number): Known | undefined {
    return this.known.length === 0 ? undefined : this.known[at % this.known.length]
  }

  async signIn({ sessions }: Node, subject: string, replaced?: Known): Promise<void> {
    const { grant, tokens } = this.#nodes.provider.signIn()
    const cookie = await sessions.create(
      {
        subject: { iss: 'https://model.test', sub: subject },
        provider: 'model',
        authenticatedAt: this.#now,
        roles: [],
        claims: {},
        userAgent: '',
        address: '',
      },
      tokens,
    )
    const { id } = parseCookieValue(cookie) as { id: SessionId }
    const at = this.#now
    this.known.push({
      id,
      grant,
      createdAt: at,
      cookie,
      copies: [],
      lastSeenAt: at,
      endedAt: undefined,
      ending: false,
      exposed: false,
      forgotten: false,
    })
    if (replaced) await this.end({ sessions } as Node, replaced, 'replaced')
  }

  async end({ sessions }: Node, known: Known, reason: 'logout' | 'revoked' | 'replaced'): Promise<void> {
    known.ending = true
    await sessions.end(known.id, reason)
    known.endedAt ??= this.#now
  }

  /** As the guard does it: opens, counts as activity, rotates when due, refreshes when the access token has run out. */
  async request(node: Node, known: Known, answerIsLost = false): Promise<void> {
    const shown = known.cookie
    const before = { ...known, at: this.#now }
    const opened = await node.sessions.open(shown)
    if (node.crashed) return
    this.#judge(known, before, opened.kind)
    if (opened.kind !== 'live') return
    known.lastSeenAt = Math.max(known.lastSeenAt, this.#now)
    known.forgotten = false
    node.sessions.touch(opened.session)
    if (opened.rotationDue) {
      const rotated = await node.sessions.rotate(opened.session, shown)
      if (rotated && !answerIsLost) {
        rotated.delivered()
        if (newer(rotated.cookie, known.cookie)) known.cookie = rotated.cookie
      }
    }
    const { accessTokenExpiresAt = Number.POSITIVE_INFINITY } = opened.session.tokens
    if (accessTokenExpiresAt > this.#now) return
    const refreshed = await node.refreshTokens(opened.session, shown)
    if (refreshed.kind !== 'refreshed') {
      if (refreshed.kind === 'ended') this.#mayHaveEnded(known, before.at)
      return
    }
    // Late callers get the successor: a token that the provider gave after the one that had run out.
    expect(refreshed.session.tokens.accessToken).not.toBe(opened.session.tokens.accessToken)
  }

  /** Somebody copied the cookie, and uses the copy. */
  async steal(node: Node, known: Known): Promise<void> {
    const copy = known.copies.pop()
    if (copy === undefined) {
      known.copies.push(known.cookie)
      return
    }
    known.exposed = true
    await node.sessions.open(copy)
  }

  #judge(known: Known, before: Known & { at: number }, kind: string): void {
    if (kind === 'live') {
      // Logout is final: who asks after it was acknowledged is refused, in every process, for ever.
      expect(before.endedAt, 'a session that was ended before the request began was let in').toBeUndefined()
      const seen = Math.max(before.lastSeenAt, known.lastSeenAt)
      expect(before.at - seen, 'idle was exceeded').toBeLessThan(timeouts.idle)
      expect(before.at - known.createdAt, 'the absolute timeout was exceeded').toBeLessThan(timeouts.absolute)
      return
    }
    this.#mayHaveEnded(known, before.at)
  }

  /** No valid session is lost: one that ended by itself has a provider that took its grant back, or lost its answer. */
  #mayHaveEnded(known: Known, began: number): void {
    if (known.ending || known.exposed || known.forgotten) return
    // A request that stood still for longer than the grace may find the key copy of its cookie gone: its session lives on.
    const lives = (this.#nodes.store.peek?.(known.id) ?? 0) > 0
    if (lives && this.#now >= began + timeouts.grace) return
    // Activity is written now and then only, so that another process may end an idle session that much too early.
    if (this.#now >= known.lastSeenAt + timeouts.idle - slack || this.#now >= known.createdAt + timeouts.absolute)
      return
    expect(this.#nodes.provider.tookBack(known.grant), 'a valid session was lost').toBe(true)
  }

  /** When all is quiet. */
  async check(): Promise<void> {
    const { store, provider } = this.#nodes
    for (const known of this.known.filter(({ endedAt }) => endedAt !== undefined)) {
      // No token is readable after deletion: the row with its sealed bytes is gone, and no index leads to it.
      const row = await store.get(known.id)
      expect(row === undefined || 'ended' in row, 'bytes of an ended session are in the store').toBe(true)
    }
    for (const grant of provider.grants.filter(({ unlucky }) => !unlucky)) {
      const redeemed = provider.redemptions.filter((token) => grant.tokens.includes(token))
      if (provider.rotation !== 'keeps')
        expect(new Set(redeemed).size, 'a refresh token was redeemed twice').toBe(redeemed.length)
    }
    expect(this.#nodes.faults).toEqual([])
  }
}

function newer(one: string, other: string): boolean {
  const generation = (text: string) => parseCookieValue(text)?.generation ?? 0
  return generation(one) > generation(other)
}
