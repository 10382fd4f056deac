import { describe, expect, test } from 'vitest'
import { complaints, configOf, route, variant } from './folder.ts'

const limitsOf = (limits: unknown) => configOf(variant({ limits })).limits

describe('limits', () => {
  const usual = {
    signIn: { requests: 300, per: 60_000 },
    notifications: { requests: 300, per: 60_000 },
    guesses: { requests: 50, per: 60_000 },
  }

  test('are on unless said otherwise; each may be off, and so may all', () => {
    expect(limitsOf(undefined)).toEqual(usual)
    expect(limitsOf({})).toEqual(usual)
    expect(limitsOf({ signIn: 'off' })).toEqual({ ...usual, signIn: 'off' })
    expect(limitsOf({ guesses: { requests: 10, per: '5m' } })).toEqual({
      ...usual,
      guesses: { requests: 10, per: 300_000 },
    })
    expect(limitsOf('off')).toEqual({ signIn: 'off', notifications: 'off', guesses: 'off' })
  })

  test('of a route: none unless said', () => {
    expect(configOf(variant({ routes: [route({})] })).routes[0]?.limit).toBeUndefined()
    const limit = { requests: 100, per: '1h' }
    expect(configOf(variant({ routes: [route({ limit })] })).routes[0]?.limit).toEqual({
      requests: 100,
      per: 3_600_000,
    })
  })

  const whole = 'write a whole number from 1 to 1000000'
  test.each([
    ['on', 'limits: write off, or signIn, notifications and guesses'],
    [{ login: 'off' }, 'limits.login: unknown key; known here: signIn, notifications, guesses'],
    [{ signIn: 30 }, 'limits.signIn: write { requests: 300, per: 1m }, or off'],
    [{ signIn: { requests: 0 } }, `limits.signIn.requests: ${whole}`],
    [{ signIn: { requests: 1.5 } }, `limits.signIn.requests: ${whole}`],
    [{ signIn: { per: '1m' } }, `limits.signIn.requests: is missing; ${whole}`],
    // The time of each is kept.
    [{ guesses: { requests: 1001 } }, 'limits.guesses.requests: write a whole number from 1 to 1000'],
    [{ guesses: { requests: 5, per: '2h' } }, 'limits.guesses.per: is too much; write at most 1h'],
  ])('%j: what is wrong is said', (limits, message) => {
    expect(complaints({ limits })).toEqual([message])
  })
})
