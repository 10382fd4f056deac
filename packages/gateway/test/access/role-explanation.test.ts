import fc from 'fast-check'
import { expect, test } from 'vitest'
import { explainRoles } from '../../src/access/role-explanation.ts'
import { rolesOf, rulesByRole } from '../../src/access/roles.ts'

const rule = (test: object, ...grant: string[]) => ({ claim: 'groups', grant, ...test })
const explain = (rules: object[], claims: object, rolesMatch: 'all' | 'first' = 'all') =>
  explainRoles({ roles: rules as never, rolesMatch }, claims as never)
/** Of a single rule that grants nothing. */
const why = (test: object, claims: object) => {
  const [only] = explain([rule(test, 'r')], claims).rules
  return { outcome: only?.outcome, why: only?.why, hints: only?.hints }
}

test('each role names its rule, the claim that was read and the element that was found', () => {
  const { roles, rules } = explain(
    [
      rule({ contains: 'admin' }, 'admin'),
      rule({ startsWith: 'team-' }, 'member'),
      rule({ notEqual: 'guest' }, 'staff'),
    ],
    { groups: ['users'], 'cognito:groups': ['admin', 'team-a'] },
  )
  expect(roles).toEqual(['admin', 'member', 'staff'])
  expect(rules).toEqual([
    {
      ...{ index: 0, asks: 'groups contains admin', grant: ['admin'], outcome: 'grants', hints: [] },
      why: '"admin" of cognito:groups',
      by: { claim: 'cognito:groups', element: 'admin' },
    },
    {
      ...{ index: 1, asks: 'groups startsWith team-', grant: ['member'], outcome: 'grants', hints: [] },
      why: '"team-a" of cognito:groups',
      by: { claim: 'cognito:groups', element: 'team-a' },
    },
    {
      ...{ index: 2, asks: 'groups notEqual guest', grant: ['staff'], outcome: 'grants', hints: [] },
      why: 'no element of groups or cognito:groups is it',
      by: { claim: 'groups' },
    },
  ])
})

test('first: what stands below the match is not reached, what stands above it did not match', () => {
  const rules = [rule({ equals: 'a' }, 'x'), rule({ equals: 'b' }, 'y'), rule({ equals: 'b' }, 'z')]
  expect(explain(rules, { groups: ['b'] }, 'first').rules.map(({ outcome }) => outcome)).toEqual([
    'no-match',
    'grants',
    'not-reached',
  ])
  expect(explain(rules, { groups: ['b'] }).rules.map(({ outcome }) => outcome)).toEqual([
    'no-match',
    'grants',
    'grants',
  ])
})

test.each([
  ['no claim', { equals: 'ops' }, {}, 'there is neither groups nor cognito:groups', []],
  ['an empty list', { equals: 'ops' }, { groups: [] }, 'groups is empty', []],
  [
    'an object',
    { equals: 'ops' },
    { groups: { ops: true } },
    'groups is an object; texts and lists of texts are read',
    [],
  ],
  ['a list of objects', { equals: 'ops' }, { groups: [{ name: 'ops' }] }, 'no element of groups is a text', []],
  ['what must not be there', { notEqual: 'ops' }, { groups: ['ops'] }, 'groups has "ops", which it must not', []],
  ['another case', { equals: 'Ops' }, { groups: ['ops'] }, 'groups has "ops"', [/"ops" differs in letter case only/]],
  [
    'another case at the start',
    { startsWith: 'Team-' },
    { groups: ['team-a'] },
    'groups has "team-a"',
    [/letter case/],
  ],
  ['a part', { contains: 'admin' }, { groups: ['nonadmin'] }, 'groups has "nonadmin"', [/"nonadmin" has it as a part/]],
  ['a path', { equals: 'ops' }, { groups: ['/ops'] }, 'groups has "/ops"', [/has it as a part/]],
  [
    'not at its start',
    { startsWith: 'team-' },
    { groups: ['my-team-a'] },
    'groups has "my-team-a"',
    [/not at its start/],
  ],
  ['spaces', { equals: 'ops' }, { groups: 'ops dev' }, 'groups has "ops dev"', [/as a part/, /commas only/]],
  ['a comma', { equals: 'a,b' }, { groups: 'a,b' }, 'groups has "a", "b"', [/taken apart at its commas/]],
  [
    'a list in brackets',
    { claim: 'custom:groups', equals: 'ops' },
    { 'custom:groups': '[dev, qa]' },
    'custom:groups has "dev", "qa"',
    [/a list that became one text/],
  ],
  [
    'a claim of another case',
    { claim: 'Department', equals: 'x' },
    { department: 'x' },
    'there is no such claim',
    [/the claims have department/],
  ],
  [
    'the alias',
    { claim: 'cognito:groups', equals: 'x' },
    { groups: ['x'] },
    'there is no such claim',
    [/claim: groups reads both/],
  ],
  [
    'an attribute of the pool',
    { claim: 'team', equals: 'x' },
    { 'custom:team': 'x' },
    'there is no such claim',
    [/custom:team/],
  ],
  [
    'a nested claim',
    { claim: 'realm_access.roles', equals: 'x' },
    { realm_access: { roles: ['x'] } },
    'there is no such claim',
    [/only claims at the top/],
  ],
  [
    'an access token',
    { equals: 'x' },
    { token_use: 'access' },
    'there is neither groups nor cognito:groups',
    [/claims of an access token/],
  ],
])('a rule that does not match says why: %s', (_, test, claims, says, hints) => {
  expect(why(test, claims)).toEqual({
    outcome: 'no-match',
    why: says,
    hints: hints.map((hint) => expect.stringMatching(hint)),
  })
})

test('hundreds of groups are not all listed', () => {
  const groups = Array.from({ length: 300 }, (_, i) => `group-${i}`)
  expect(why({ equals: 'ops' }, { groups }).why).toMatch(/"group-9" and 290 more$/)
})

test('what is explained is what is decided, whatever the claims and rules', () => {
  const word = fc.constantFrom('a', 'A', 'ab', 'b', 'a,b', '[a, b]', '')
  const claims = fc.dictionary(
    fc.constantFrom('groups', 'cognito:groups', 'x'),
    fc.oneof(word, fc.array(word), fc.integer(), fc.constant(null), fc.constant({ a: 'a' })),
  )
  const rules = fc.array(
    fc.record({
      claim: fc.constantFrom('groups', 'cognito:groups', 'x', 'y'),
      test: fc.tuple(fc.constantFrom('equals', 'startsWith', 'contains', 'notEqual'), word),
      grant: fc.array(fc.constantFrom('p', 'q', 'r'), { minLength: 1 }),
    }),
  )
  fc.assert(
    fc.property(rules, claims, fc.constantFrom('all', 'first'), (drafts, given, rolesMatch) => {
      const roles = drafts.map(({ claim, test: [name, value], grant }) => ({ claim, [name]: value, grant }))
      const mapping = { roles, rolesMatch } as never
      const explained = explainRoles(mapping, given as never)
      const granting = explained.rules.filter(({ outcome }) => outcome === 'grants')
      expect(explained.roles).toEqual(rolesOf(mapping, given as never))
      expect(new Set(granting.flatMap(({ grant }) => grant))).toEqual(new Set(explained.roles))
      expect(granting.every(({ by }) => by !== undefined)).toBe(true)
      for (const [role, places] of Object.entries(rulesByRole(mapping, given as never))) {
        const found = granting.filter(({ grant }) => grant.includes(role)).map(({ index }) => `roles[${index}]`)
        expect(places).toEqual(found)
      }
    }),
  )
})
