import { randomBytes, randomUUID } from 'node:crypto'
import type { PoolClient, PoolLifetimes, PoolUser } from './pool-settings.ts'

/** One sign-in at one application: every token that comes of it shares its `origin_jti`. */
export interface Grant {
  readonly originJti: string
  readonly clientId: string
  readonly user: PoolUser
  readonly scopes: readonly string[]
  /** Seconds. */
  readonly authTime: number
  readonly nonce?: string | undefined
  /** Milliseconds: when the last of its refresh tokens ends. Rotation doesn't prolong it. */
  readonly expiresAt: number
  revoked: boolean
}

interface Code {
  readonly grant: Grant
  readonly redirectUri: string
  readonly challenge: string | undefined
  readonly expiresAt: number
}

interface RefreshEntry {
  readonly grant: Grant
  supersededAt?: number
}

export class GrantError extends Error {
  readonly reused: boolean

  constructor(message: string, { reused = false } = {}) {
    super(message)
    this.reused = reused
  }
}

const opaque = () => randomBytes(48).toString('base64url')

export type PoolGrants = ReturnType<typeof createPoolGrants>

/** Codes and refresh tokens, and what became of them. */
export function createPoolGrants({ now, lifetimes }: { now: () => number; lifetimes: PoolLifetimes }) {
  const codes = new Map<string, Code>()
  const refreshTokens = new Map<string, RefreshEntry>()
  const grants = new Map<string, Grant>()

  function issueRefresh(grant: Grant): string {
    const token = opaque()
    refreshTokens.set(token, { grant })
    return token
  }

  return {
    begin(input: Pick<Grant, 'clientId' | 'user' | 'scopes' | 'nonce' | 'authTime'>): Grant {
      const expiresAt = now() + lifetimes.refreshToken * 1000
      const grant: Grant = { ...input, originJti: randomUUID(), expiresAt, revoked: false }
      grants.set(grant.originJti, grant)
      return grant
    },

    issueCode(input: Omit<Code, 'expiresAt'>): string {
      const code = randomUUID()
      codes.set(code, { ...input, expiresAt: now() + lifetimes.code * 1000 })
      return code
    },

    /** A code works once: it is gone whatever the answer. */
    takeCode(value: string): Code | undefined {
      const code = codes.get(value)
      codes.delete(value)
      return code && code.expiresAt > now() ? code : undefined
    },

    issueRefresh,

    /** Uses a refresh token; with rotation it is replaced, else the same one goes on. */
    refresh(token: string, client: PoolClient): { grant: Grant; replacement: string | undefined } {
      const entry = refreshTokens.get(token)
      if (!entry || entry.grant.clientId !== client.clientId) throw new GrantError('Invalid Refresh Token')
      const { grant } = entry
      if (grant.revoked || !grant.user.enabled) throw new GrantError('Refresh Token has been revoked')
      if (grant.expiresAt <= now()) throw new GrantError('Refresh Token has expired')
      if (!client.rotation) return { grant, replacement: undefined }
      const { supersededAt } = entry
      if (supersededAt !== undefined && now() > supersededAt + client.rotation.graceSeconds * 1000) {
        throw new GrantError('Refresh token has been reused', { reused: true })
      }
      entry.supersededAt ??= now()
      return { grant, replacement: issueRefresh(grant) }
    },

    grantOfRefreshToken: (token: string) => refreshTokens.get(token)?.grant,
    grantOf: (originJti: string) => grants.get(originJti),

    /** Of one user, everywhere: their refresh tokens end, and access tokens for the pool's own APIs. */
    signOut(user: PoolUser): void {
      for (const grant of grants.values()) if (grant.user === user) grant.revoked = true
    },
  }
}
