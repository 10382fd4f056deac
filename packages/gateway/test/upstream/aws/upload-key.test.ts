import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { presignSchema } from '../../../src/config/presign-schema.ts'
import { uploadKey } from '../../../src/upstream/aws/upload-key.ts'

const templateOf = (key: string) => presignSchema().parse({ key, types: ['image/*'] }).key
const template = templateOf('uploads/{sub}/{id}-{name}')
const facts = { sub: 'ada', identityId: 'eu-west-1:0a', id: 'f00', name: 'cat.png' }

describe('the key of an upload', () => {
  test('is put together from who asks, what is new, and the name of the file', () => {
    expect(uploadKey(template, facts)).toEqual({ kind: 'key', key: 'uploads/ada/f00-cat.png' })
    const byIdentity = templateOf('{identityId}/in/{id}')
    expect(uploadKey(byIdentity, { ...facts, name: undefined })).toEqual({ kind: 'key', key: 'eu-west-1:0a/in/f00' })
  })

  test.each(['../bob/x', 'a/b', 'a\\b', '..', '.', '', 'a\u0000', 'a\u202Egnp', '\ud800', 'x'.repeat(201)])(
    'a name that leads elsewhere, or hides what it is, is refused: %j',
    (name) => {
      expect(uploadKey(template, { ...facts, name }).kind).toBe('refused')
      expect(uploadKey(templateOf('{sub}/{id}/{name}'), { ...facts, name }).kind).toBe('refused')
    },
  )

  test('a name where the key has none, and none where it has one', () => {
    expect(uploadKey(template, { ...facts, name: undefined }).kind).toBe('refused')
    expect(uploadKey(templateOf('{sub}/{id}'), facts).kind).toBe('refused')
  })

  test('whatever the subjects are, each has one segment for itself, which nobody takes for another folder', () => {
    const sub = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      fc.constantFrom('..', '.', 'a/b', '%2E', 'a%2Fb'),
    )
    fc.assert(
      fc.property(sub, sub, (one, other) => {
        const [a, b] = [one, other].map((each) => uploadKey(template, { ...facts, sub: each }))
        if (a?.kind !== 'key' || b?.kind !== 'key') throw new Error('refused')
        const segments = a.key.split('/')
        expect(segments.length).toBe(3)
        expect(segments[1]).not.toMatch(/^\.*$/)
        expect(a.key === b.key).toBe(one === other)
      }),
    )
  })
})

describe('what presign refuses', () => {
  test.each([
    ['uploads/{id}', 'no place of the user'],
    ['uploads/{sub}', 'overwrite'],
    ['{name}/{sub}/{id}', 'behind the place of the user'],
    ['u-{sub}/{id}', 'segment of its own'],
    ['/{sub}/{id}', 'write a key'],
    ['a/../{sub}/{id}', 'write a key'],
    ['a//{sub}/{id}', 'write a key'],
    ['{user}/{sub}/{id}', 'write a key'],
  ])('%s: %s', (key, message) => {
    const parsed = presignSchema().safeParse({ key, types: ['image/png'] })
    expect(parsed.error?.issues[0]?.message).toContain(message)
  })

  test.each(['*/*', 'image', 'image/png; q=1', 'IMAGE/PNG'])('the type %s', (type) => {
    expect(presignSchema().safeParse({ key: '{sub}/{id}', types: [type] }).success).toBe(false)
  })
})
