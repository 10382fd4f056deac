import type { World } from '../../../testkit/src/world.ts'

/** A user as the admin listener tells of them. */
export interface Described {
  readonly id: string
  readonly disabled: boolean
  readonly provider: string
  readonly firstLoginAt: string
  readonly lastLoginAt: string
  readonly profile: Readonly<Record<string, unknown>>
  readonly groups: string[]
  readonly roles: string[]
  readonly identities: { iss: string; sub: string; provider: string; email?: string; missing?: string[] }[]
  readonly [field: string]: unknown
}

interface Answer {
  readonly status: number
  readonly text: string
  json(): { users: Described[]; user: Described; cursor?: string; ended?: number; code?: string; reason?: string }
}

/** Asks the admin listener, as an operator does. */
export async function askAdmin(world: World, path: string, method = 'GET'): Promise<Answer> {
  const headers = { authorization: `Bearer ${world.adminToken}` }
  const response = await fetch(world.adminUrl + path, { method, headers })
  const text = await response.text()
  return { status: response.status, text, json: () => JSON.parse(text) }
}

export const usersOf = async (world: World, query = '') =>
  (await askAdmin(world, `/api/users${query}`))
    .json()
    .users.sort((a, b) => a.firstLoginAt.localeCompare(b.firstLoginAt))

/** The one user of that `sub`. */
export async function userNamed(world: World, sub: string): Promise<Described> {
  const [user, ...more] = await usersOf(world, `?user=${sub}`)
  if (user === undefined || more.length > 0) throw new Error(`There are ${more.length} more or no users ${sub}.`)
  return user
}

export const isLive = async (world: World, browser: string) =>
  (await world.browser(browser).fetch('/api/echo')).status === 200
