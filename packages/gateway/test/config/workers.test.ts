import { expect, test } from 'vitest'
import { restartNeeded } from '../../src/config/restart.ts'
import { complaints, configOf, variant } from './folder.ts'

test('workers: a number or auto; one by default', () => {
  expect(configOf(variant({})).workers).toBe(1)
  expect(configOf(variant({ workers: 4 })).workers).toBe(4)
  expect(configOf(variant({ workers: 'auto' })).workers).toBe('auto')
  for (const workers of [0, -1, 1.5, 257, 'many', '2'])
    expect(complaints({ workers }), String(workers)).toEqual(['workers: write a whole number from 1 to 256, or auto'])
})

test('several workers need a store that they share', () => {
  const store = { kind: 'memory' }
  for (const workers of [2, 'auto'])
    expect(complaints({ workers, store })).toEqual([
      expect.stringMatching(/^workers: each process would have sessions of its own; write workers: 1, or store: /),
    ])
  expect(complaints({ workers: 1, store })).toEqual([])
})

test('what a reload can not change is named, and nothing else', () => {
  const of = (sections: Readonly<Record<string, unknown>>) => configOf(variant(sections))
  const admin = { port: 9090 }
  const running = of({ admin })
  const cases: [Readonly<Record<string, unknown>>, string[]][] = [
    [
      { admin, session: { idle: '5m' }, basePath: '/bff', log: { level: 'debug' }, origin: 'https://b.example.com' },
      [],
    ],
    [{ admin, listen: { port: 8081 } }, ['listen.port']],
    [{ admin, listen: { port: 8080, host: '127.0.0.2' } }, ['listen.host']],
    [{ admin, workers: 2 }, ['workers']],
    [{ admin, store: { kind: 'lmdb', path: 'elsewhere' } }, ['store']],
    [{ admin, keys: { file: 'other.keys' } }, ['keys.file']],
    [{ admin: { port: 9090, names: ['ops'] } }, []],
    [{ admin: { port: 9091, host: '127.0.0.2' } }, ['admin.host', 'admin.port']],
    [{}, ['admin.host', 'admin.port']],
  ]
  for (const [sections, named] of cases) {
    const next = of(sections)
    // Each was read in a folder of its own.
    const folders = {
      keys: sections.keys ? next.keys : running.keys,
      store: sections.store ? next.store : running.store,
    }
    expect(restartNeeded(running, { ...next, ...folders }), JSON.stringify(sections)).toEqual(named)
  }
})
