import { expect, test } from 'vitest'
import { createWorld, type World } from '../../../testkit/src/world.ts'

async function sessions(world: World) {
  const headers = { authorization: `Bearer ${world.adminToken}` }
  const text = await (await fetch(`${world.adminUrl}/api/sessions`, { headers })).text()
  return { text, list: JSON.parse(text).sessions as { roles: string[]; rolesFrom: Record<string, string[]> }[] }
}

const roles = [
  { claim: 'groups', equals: 'ops', grant: ['admin', 'member'] },
  { claim: 'groups', contains: 'staff', grant: ['member'] },
  { claim: 'groups', notEqual: 'secret-project', grant: ['visitor'] },
]
const rolesOf = async (world: World) =>
  (await world.browser('ada').fetch('/auth/session')).json<{ roles: string[] }>().roles

test('RB2 an operator sees which rules gave a session its roles, and no claim', async () => {
  await using world = await createWorld({ config: { roles } })
  await world.signedIn({ browser: 'ada' })
  const { text, list } = await sessions(world)
  expect(list).toMatchObject([
    {
      roles: ['admin', 'member', 'visitor'],
      rolesFrom: { admin: ['roles[0]'], member: ['roles[0]', 'roles[1]'], visitor: ['roles[2]'] },
    },
  ])
  for (const group of ['ops', 'staff', 'secret-project']) expect(text).not.toContain(group)
})

test('RB2 rolesMatch: first counts at sign-in, and for sessions that are there when it is configured', async () => {
  await using world = await createWorld({ config: { roles, rolesMatch: 'first' } })
  await world.signedIn({ browser: 'ada' })
  expect(await rolesOf(world)).toEqual(['admin', 'member'])
  expect((await sessions(world)).list[0]?.rolesFrom).toEqual({ admin: ['roles[0]'], member: ['roles[0]'] })

  await world.reloadGateway({ roles, rolesMatch: 'all' })
  expect(await rolesOf(world)).toEqual(['admin', 'member', 'visitor'])
  await world.reloadGateway({ roles: roles.slice(1), rolesMatch: 'first' })
  expect(await rolesOf(world)).toEqual(['member'])
})
