import { expect, test } from 'vitest'
import { reasonOf } from '../../src/account/reason.ts'

test('a pool’s reason is shown in one line, and not at all where it repeats what was sent', () => {
  const policy = 'Password did not conform with policy: Password not long enough'
  expect(reasonOf(policy, ['short'])).toBe(policy)
  expect(reasonOf("Value 'hunter2' at 'previousPassword' is wrong", ['hunter2'])).toBe(
    'The user pool does not accept it.',
  )
  expect(reasonOf('', [])).toBe('The user pool does not accept it.')
  expect(reasonOf('two\r\nlines', [])).toBe('two\\x0d\\x0alines')
})
