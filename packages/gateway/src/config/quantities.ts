import { z } from 'zod'

/** Durations (milliseconds after parsing) and sizes (bytes after parsing): a whole number and a unit. */

const durationUnits = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const sizeUnits = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const

/** Bounds as they would be written in the file: they show up in the message. */
interface Range {
  readonly min?: string
  readonly max?: string
}

/** `30s`, `15m`, `12h`, `30d` → milliseconds. Never less than a second. */
export function duration({ min = '1s', max = '365d' }: Range = {}) {
  return quantity(
    durationUnits,
    { min, max },
    'duration',
    'write a duration with its unit, such as 30s, 15m, 12h or 30d',
  )
}

/** `500b`, `64kb`, `10mb`, `1gb` → bytes (a kilobyte has 1024). */
export function size({ min = '0b', max = '1024gb' }: Range = {}) {
  return quantity(sizeUnits, { min, max }, 'size', 'write a size with its unit, such as 500b, 64kb, 10mb or 1gb')
}

/** `{ requests: 100, per: 1m }`: so many at once, and then as many again in each `per`. */
export function rate(most = 1_000_000) {
  const expected = `write a whole number from 1 to ${most}`
  const shape = z.strictObject({
    requests: z
      .int({ error: expected })
      .min(1, { error: expected })
      .max(most, { error: expected })
      .describe('How many.'),
    per: duration({ max: '1h' }).prefault('1m').describe('In how long.'),
  })
  return shape.meta({ title: 'rate' })
}

function quantity(units: Readonly<Record<string, number>>, range: Required<Range>, title: string, expected: string) {
  // Nine digits keep the product below 2^53, so that nothing is rounded.
  const pattern = new RegExp(`^(\\d{1,9})(${Object.keys(units).join('|')})$`)
  const parse = (text: string): number => {
    const [, digits = '', unit = ''] = pattern.exec(text) ?? []
    return Number(digits) * (units[unit] ?? Number.NaN)
  }
  const min = parse(range.min)
  const max = parse(range.max)
  return z
    .string({ error: expected })
    .regex(pattern, { error: expected })
    .meta({ title })
    .transform((text, ctx) => {
      const value = parse(text)
      if (value < min) ctx.addIssue({ code: 'custom', message: `is too little; write at least ${range.min}` })
      if (value > max) ctx.addIssue({ code: 'custom', message: `is too much; write at most ${range.max}` })
      return value
    })
}
