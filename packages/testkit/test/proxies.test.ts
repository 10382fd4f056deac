import { afterEach, expect, test, vi } from 'vitest'
import { ensureProxy } from '../src/proxies.ts'

afterEach(() => vi.unstubAllEnvs())

test('a proxy that is not there and can not be installed is an error of one line that says what to install', () => {
  vi.stubEnv('PATH', '/nowhere')
  expect(() => ensureProxy('caddy')).toThrow(
    /^The forward-auth tests need caddy: run `sudo apt-get install [^\n]* caddy`\.$/,
  )
})
