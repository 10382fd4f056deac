import { afterEach, expect, test, vi } from 'vitest'
import { findChromium } from '../src/chromium.ts'

afterEach(() => vi.unstubAllEnvs())

test('a CHROMIUM_PATH that leads nowhere is an error of one line, not a silent choice of another', async () => {
  vi.stubEnv('CHROMIUM_PATH', '/nowhere/chromium')
  await expect(findChromium()).rejects.toThrow(/^CHROMIUM_PATH is \/nowhere\/chromium, [^\n]*$/)
})
