import cluster from 'node:cluster'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { captureLog } from '../../../testkit/src/log.ts'
import { startWorkers, type WorkersOptions } from '../../src/node/workers.ts'

/** Of a loaded machine. */
const patience = { timeout: 10_000, interval: 10 }

/** The real primary, with workers that do what the test wants: see worker-fixture.mjs. */
async function startPlayers(times: WorkersOptions['times'] = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-workers-'))
  const configuration = (name: string, more: Record<string, string> = {}) =>
    new Map(Object.entries({ at: folder, name, ...more }))
  cluster.setupPrimary({ exec: fileURLToPath(new URL('worker-fixture.mjs', import.meta.url)) })
  const log = captureLog()
  const files = configuration('first')
  const workers = await startWorkers({ count: 2, files, log: log.logger, times: { firstPause: 10, ...times } })
  return {
    workers,
    log,
    configuration,
    put: (name: string) => writeFileSync(join(folder, name), ''),
    /** The name of the configuration that a worker runs. */
    runs: (number: number) => read(join(folder, `runs ${number}`)),
    asked: (number: number) => read(join(folder, `asked ${number}`)) !== undefined,
    crash(number: number) {
      const running = Object.values(cluster.workers ?? {}).map((worker) => worker?.process)
      running[number - 1]?.kill('SIGKILL')
    },
    async [Symbol.asyncDispose]() {
      workers.kill()
      await expect.poll(() => Object.keys(cluster.workers ?? {}), patience).toEqual([])
      rmSync(folder, { recursive: true })
    },
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

test('WK2 where no worker stays up, that is the end: what watches the primary hears of it', async () => {
  await using players = await startPlayers()
  let gaveUp = false
  void players.workers.gaveUp.then(() => {
    gaveUp = true
  })
  players.put('trap')
  players.crash(2)
  await expect.poll(() => players.log.events('sys_crash').length, patience).toBeGreaterThanOrEqual(6)
  // As long as one serves, the other is tried again and again.
  expect(gaveUp).toBe(false)
  players.crash(1)
  await players.workers.gaveUp
  expect(players.log.events('workers_gave_up')).toHaveLength(1)
  expect(await players.workers.stop()).toBe(true)
}, 20_000)

test('WK2 a start that fails slowly is a failure too, however long it took', async () => {
  await using players = await startPlayers({ steady: 1 })
  players.put('trap')
  players.crash(2)
  players.crash(1)
  await players.workers.gaveUp
  expect(await players.workers.stop()).toBe(true)
}, 20_000)

test('RL2 a worker that started with a configuration while another one refused it goes back to the one before', async () => {
  await using players = await startPlayers()
  const reload = players.workers.reload(players.configuration('second', { 'do 1': 'refuse' }))
  const refused = expect(reload).rejects.toThrow('it is bad')
  await expect.poll(() => players.asked(1), patience).toBe(true)
  players.crash(2)
  await expect.poll(() => players.runs(2), patience).toBe('second')
  players.put('refuse')
  await refused
  expect([players.runs(1), players.runs(2)]).toEqual(['first', 'first'])
})

test('RL2 a configuration that a worker dies of is refused, and the next one is tried out by another: never taken unseen', async () => {
  await using players = await startPlayers({ firstPause: 500 })
  await expect(players.workers.reload(players.configuration('second', { 'do 1': 'die' }))).rejects.toThrow(
    'the worker ended (exit status 3)',
  )
  players.put('refuse')
  await expect(players.workers.reload(players.configuration('third', { 'do 2': 'refuse' }))).rejects.toThrow(
    'it is bad',
  )
  await expect.poll(() => players.log.events('sys_crash').length, patience).toBe(1)
  await players.workers.reload(players.configuration('fourth'))
  await expect.poll(() => [players.runs(1), players.runs(2)], patience).toEqual(['fourth', 'fourth'])
  expect(players.log.events('sys_crash')).toHaveLength(1)
})

test.each([1, 2])(
  'RL2 worker %i, stuck: it is killed and replaced, and does not serve on under the old one',
  async (number) => {
    await using players = await startPlayers({ patience: 3_000, drain: 100 })
    const next = players.configuration('second', { [`do ${number}`]: 'hang' })
    if (number === 1) await expect(players.workers.reload(next)).rejects.toThrow('the worker does not answer')
    else await players.workers.reload(next)
    await expect
      .poll(() => players.log.events('sys_crash'), patience)
      .toMatchObject([{ worker: number, signal: 'SIGKILL' }])
    expect(players.log.events('worker_failed')).toMatchObject([
      { worker: number, reason: 'the worker does not answer' },
    ])
  },
)
