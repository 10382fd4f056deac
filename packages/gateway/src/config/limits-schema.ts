import { z } from 'zod'
import { rate } from './quantities.ts'

const expected = 'write { requests: 300, per: 1m }, or off'

/** Of a guess its time is kept, of the others a number. */
const mostGuesses = 1000

/** How often who may ask; what each one counts. */
export function createLimitsSchema() {
  const settings = z.strictObject({
    signIn: orOff(300).describe(
      '`/auth/login`, `/auth/step-up` and `/auth/callback`, by address. A sign-in takes two or three.',
    ),
    notifications: orOff(300).describe(
      'Broken or forged logout tokens, revocations and security events, by address. Good ones are not counted.',
    ),
    guesses: orOff(50, mostGuesses).describe(
      'Requests whose session cookie is of no session, by address. Beyond it they are 429; sessions are not touched.',
    ),
  })
  const off = z.literal('off').transform(() => allOff)
  return z.union([settings, off], { error: 'write off, or signIn, notifications and guesses' }).prefault({})
}

const allOff = { signIn: 'off', notifications: 'off', guesses: 'off' } as const

function orOff(requests: number, most?: number) {
  return z
    .union([rate(most), z.literal('off')], { error: expected })
    .meta({ title: 'rate, or `off`' })
    .prefault({ requests, per: '1m' })
}
