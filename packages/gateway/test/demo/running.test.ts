import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { listen } from '../../src/demo/listen.ts'
import { stage } from '../../src/demo/running.ts'

function folder() {
  const path = mkdtempSync(`${tmpdir()}/coatcheck-demo-`)
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

test('a port that somebody else takes at the last moment: what stands is closed, and other ports are tried', async () => {
  using data = folder()
  const other = createServer()
  const taken = await listen(other)
  const closed: number[] = []
  let tries = 0
  const demo = await stage({ https: false, port: 0, data: data.path }, async ({ closes }) => {
    const now = ++tries
    closes({ close: async () => closed.push(now) })
    if (now === 1) await listen(createServer(), taken)
    return []
  }).finally(() => other.close())
  expect([tries, closed]).toEqual([2, [1]])
  await demo.close()
  expect(closed).toEqual([1, 2])
})

test('any other failure is told at once', async () => {
  using data = folder()
  let tries = 0
  const failing = stage({ https: false, port: 0, data: data.path }, async () => {
    tries++
    throw new Error('no such part')
  })
  await expect(failing).rejects.toThrow('no such part')
  expect(tries).toBe(1)
})
