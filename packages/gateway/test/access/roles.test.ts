import { expect, test } from 'vitest'
import { rolesOf as mapped } from '../../src/access/roles.ts'

const rule = (test: object, ...grant: string[]) => ({ claim: 'groups', grant, ...test }) as never
const rolesOf = (roles: never[], claims: object) => mapped({ roles, rolesMatch: 'all' }, claims as never)

test('roles: every matching rule grants, each role once, in the order of the rules', () => {
  const rules = [
    rule({ equals: 'ops' }, 'operator', 'viewer'),
    rule({ startsWith: 'team-' }, 'member'),
    rule({ equals: 'ops' }, 'viewer'),
  ]
  expect(rolesOf(rules, { groups: ['ops', 'team-a'] })).toEqual(['operator', 'viewer', 'member'])
  expect(rolesOf(rules, { groups: ['other'] })).toEqual([])
  expect(rolesOf(rules, {})).toEqual([])
})

test('a group is compared whole, however the provider wrote the list: admin is not in nonadmin', () => {
  const rules = [rule({ contains: 'admin' }, 'admin')]
  for (const groups of [
    ['nonadmin', 'administrators'],
    'nonadmin,administrators',
    '[nonadmin, administrators]',
    'nonadmin',
  ]) {
    expect(rolesOf(rules, { groups }), JSON.stringify(groups)).toEqual([])
  }
  for (const groups of [['x', 'admin'], 'x,admin', '[x, admin]', 'admin']) {
    expect(rolesOf(rules, { groups }), JSON.stringify(groups)).toEqual(['admin'])
  }
})

test('a missing claim proves nothing: notEqual grants only where there is something to compare', () => {
  const rules = [rule({ notEqual: 'guest' }, 'staff')]
  expect(rolesOf(rules, {})).toEqual([])
  expect(rolesOf(rules, { groups: [] })).toEqual([])
  expect(rolesOf(rules, { groups: ['guest', 'ops'] })).toEqual([])
  expect(rolesOf(rules, { groups: ['ops'] })).toEqual(['staff'])
})

test('claims of odd shapes grant nothing by accident', () => {
  const rules = [
    rule({ equals: 'true' }, 'flag'),
    rule({ equals: '[object Object]' }, 'bad'),
    rule({ startsWith: '' }, 'any'),
  ]
  expect(rolesOf(rules, { groups: true })).toEqual(['flag', 'any'])
  expect(rolesOf(rules, { groups: { a: 1 } })).toEqual([])
  expect(rolesOf(rules, { groups: null })).toEqual([])
  expect(rolesOf(rules, { groups: [1, null, { a: 1 }] })).toEqual([])
})

test('rolesMatch: first: the first rule that matches grants, whatever stands below it', () => {
  const roles = [
    rule({ equals: 'suspended' }, 'nobody'),
    rule({ equals: 'ops' }, 'operator', 'viewer'),
    rule({ startsWith: 'o' }, 'other'),
    rule({ notEqual: 'guest' }, 'viewer'),
  ]
  const first = (groups: string[]) => mapped({ roles, rolesMatch: 'first' }, { groups })
  expect(first(['ops', 'suspended'])).toEqual(['nobody'])
  expect(first(['ops'])).toEqual(['operator', 'viewer'])
  expect(first(['staff'])).toEqual(['viewer'])
  expect(first([])).toEqual([])
  expect(rolesOf(roles, { groups: ['ops', 'suspended'] })).toEqual(['nobody', 'operator', 'viewer', 'other'])
})
