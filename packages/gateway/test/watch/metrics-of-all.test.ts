import { Counter, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import type { MetricValues } from '../../src/watch/metrics.ts'
import { createMetricsOfAll } from '../../src/watch/metrics-of-all.ts'

async function counted(count: number): Promise<MetricValues> {
  const registry = new Registry()
  new Counter({ name: 'requests_total', help: 'Requests.', registers: [registry] }).inc(count)
  return await registry.getMetricsAsJSON()
}

test('WK3 scrapes at the same time all tell the same: what a worker counted before it ended is in each of them', async () => {
  const all = createMetricsOfAll(() => 1)
  all.told(1, await counted(5))
  all.gone(1)
  all.told(1, await counted(2))
  const texts: Promise<string>[] = []
  // Each begins while the one before is at it.
  for (let i = 0; i < 100; i++) {
    texts.push(all.text())
    await Promise.resolve()
  }
  const counts = (await Promise.all(texts)).map((text) => /^requests_total (\d+)$/m.exec(text)?.[1])
  expect(new Set(counts)).toEqual(new Set(['7']))
})
