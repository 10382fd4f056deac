import { expect, test } from 'vitest'
import { keysAt } from '../../src/config/explain.ts'
import { plannedKeys, plannedValues } from '../../src/config/planned.ts'
import { configSchema } from '../../src/config/schema.ts'
import { complaints, corp, route } from './folder.ts'

type Section = Record<string, unknown>

/** A working configuration with one thing changed: `routes.*.csrf` is the `csrf` of its only route. */
function withValue(pattern: string, value: unknown): { path: string; sections: Section } {
  const sections: Section = { providers: { corp }, routes: [route({})], session: {}, store: { kind: 'memory' } }
  const keys = pattern.split('.')
  const [root = ''] = keys
  const path = pattern.replace('providers.*', 'providers.corp').replace('routes.*', 'routes[0]')
  return { path, sections: { ...sections, [root]: put(sections[root], keys.slice(1), value) } }
}

function put(target: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value
  if (Array.isArray(target)) return target.map((item) => put(item, rest, value))
  const section = (target ?? {}) as Section
  if (key === '*')
    return Object.fromEntries(Object.entries(section).map(([name, item]) => [name, put(item, rest, value)]))
  return { ...section, [key]: put(section[key], rest, value) }
}

test.each(plannedKeys)('%s is refused in words of its own, and only once', (pattern) => {
  const { path, sections } = withValue(pattern, { any: 'thing' })
  expect(complaints(sections)).toEqual([`${path}: is planned, but not in this version; remove it`])
})

test.each(plannedKeys)('%s is not in the schema: what has arrived leaves the table', (pattern) => {
  const path = pattern.split('.')
  expect(keysAt(configSchema, path.slice(0, -1))).not.toContain(path.at(-1))
})

/** What the interface promises and this version may still lack; where it has arrived, the table says nothing of it. */
const promised: readonly (readonly [string, unknown])[] = [
  ...['redis', 'postgres', 'dynamodb'].map((kind) => ['store.kind', kind] as const),
  ['routes.*.credential', { exchange: { audience: 'x' } }],
  ['routes.*.credential', { mint: { audience: 'x' } }],
  ['routes.*.credential', { aws: { service: 's3', region: 'eu-west-1' } }],
]

test.each(promised.filter(([at, value]) => plannedValues.some((row) => row.at === at && row.is(value))))(
  '%s: %j is refused in words of its own, and only once',
  (pattern, value) => {
    const { path, sections } = withValue(pattern, value)
    expect(complaints(sections)).toEqual([
      expect.stringMatching(
        `^${path.replace('[0]', '\\[0\\]')}: this value is planned, but not in this version; write `,
      ),
    ])
  },
)

test('what goes with a planned kind is not complained about: the kind says it all', () => {
  const sections = { store: { kind: 'redis', url: 'redis://:hunter2@x' } }
  if (plannedValues.some(({ at, is }) => at === 'store.kind' && is('redis'))) {
    expect(complaints(sections)).toEqual([expect.stringMatching(/^store\.kind: /)])
  }
})
