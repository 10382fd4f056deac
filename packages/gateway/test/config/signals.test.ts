import { describe, expect, test } from 'vitest'
import { transmittersOf } from '../../src/config/signals-schema.ts'
import { complaints, configOf, corp, variant, warningsOf } from './folder.ts'

const transmitter = 'https://idp.example.com'
const audience = 'https://app.example.com/signals'
const signals = (keys: Record<string, unknown>) => complaints({ signals: keys })

describe('signals', () => {
  test('GR1 SS1 nothing need be written; one transmitter; several', () => {
    const of = (keys: Record<string, unknown>) => transmittersOf(configOf(variant({ signals: keys })).signals)
    expect(transmittersOf(configOf(variant({})).signals)).toEqual([])
    expect(of({ transmitter, audience })).toEqual([
      { at: ['signals'], config: { transmitter, audience: [audience], reaches: 'own' } },
    ])
    const further = { transmitter: 'https://other.example.com', audience: ['a', 'b'], provider: 'corp', reaches: 'all' }
    expect(of({ transmitters: [further] })).toEqual([{ at: ['signals', 'transmitters', 0], config: further }])
    expect(of({ transmitter, audience, transmitters: [further] }).map(({ config }) => config.transmitter)).toEqual([
      transmitter,
      further.transmitter,
    ])
  })

  test('poll: an address over TLS, a secret, an interval of at least a second', () => {
    const poll = { url: 'https://idp.example.com/poll', token: { env: 'CLIENT_SECRET' } }
    const config = configOf(variant({ signals: { transmitter, audience, poll } }))
    expect(config.signals.poll).toEqual({ ...poll, token: 'Zm9yIHRlc3Rz', interval: 30_000 })
    const wrong = (keys: object) => signals({ transmitter, audience, poll: { ...poll, ...keys } })
    expect(wrong({ url: 'http://idp.example.com/poll' })).toEqual([
      'signals.poll.url: plain http works for localhost, 127.0.0.1 and [::1] only; write https://idp.example.com…',
    ])
    expect(wrong({ url: 'https://user:hunter2@idp.example.com/poll' })).toEqual([
      'signals.poll.url: a name or password does not stand in an address; remove them',
    ])
    expect(wrong({ token: 'hunter2' })).toEqual([
      'signals.poll.token: a secret does not stand in this file; write { env: NAME } or { file: path }',
    ])
    expect(wrong({ interval: '0s' })).toEqual(['signals.poll.interval: is too little; write at least 1s'])
  })

  test.each([
    [{ transmitter }, 'signals.audience: is missing; write `aud` of the events'],
    [{ audience }, 'signals.audience: says nothing without transmitter; write its issuer'],
    [{ provider: 'corp' }, 'signals.provider: says nothing without transmitter; write its issuer'],
    [{ transmitter, audience: [] }, 'signals.audience: name at least one audience'],
    [{ transmitter: 'idp', audience }, 'signals.transmitter: write it like https://idp.example.com'],
    [{ transmitter, audience, provider: 'x' }, 'signals.provider: there is no provider x; write corp'],
    [{ transmitter, audience, reaches: ['corp', 'x'] }, 'signals.reaches[1]: there is no provider x; write corp'],
    [{ transmitter, audience, reaches: 'x' }, 'signals.reaches: write own, all, or a list of names under providers'],
    [{ transmitter, audience, secret: 'x' }, 'signals.secret: unknown key; known here: '],
    [
      { transmitter, audience, transmitters: [{ transmitter, audience }] },
      'signals.transmitters[0].transmitter: is there already; a transmitter has one stream',
    ],
    [
      {
        transmitter,
        audience,
        jwksUri: 'https://a.example.com/keys',
        verification: { stream: 's', token: { env: 'CLIENT_SECRET' } },
      },
      'signals.verification.url: is missing; with jwksUri nothing else says where to ask',
    ],
    [{ transmitters: [{ transmitter }] }, 'signals.transmitters[0].audience: is missing; write the audience'],
    [{ revocation: { corp: { reaches: ['x'] } } }, 'signals.revocation.corp.reaches[0]: there is no provider x'],
    [{ revocation: { Corp: {} } }, 'signals.revocation.Corp: name a provider in small letters'],
  ])('%j', (keys, expected) => {
    const found = signals(keys)
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(expected)
  })

  test('GR1 a caller at whom nobody signs in: all that a provider would say is written here', () => {
    expect(signals({ revocation: { okta: {} } })).toEqual([
      'signals.revocation.okta: issuer is missing; okta is not a provider of sign-ins: write the issuer of its tokens',
      'signals.revocation.okta: caller is missing; okta is not a provider of sign-ins: write sub of its tokens',
      'signals.revocation.okta: reaches is missing; okta is not a provider of sign-ins: write all, or name the providers of its users',
    ])
    const okta = { issuer: 'https://acme.okta.com', caller: '0oa1', reaches: ['corp'] }
    expect(signals({ revocation: { okta } })).toEqual([])
  })

  test('a warning where it is anybody’s guess whose users a transmitter speaks of', () => {
    const providers = { corp, pool: { ...corp, issuer: 'https://pool.example.com' } }
    const warnings = (keys: object) =>
      warningsOf(variant({ providers, defaultProvider: 'pool', signals: { audience, ...keys } }))
    expect(warnings({ transmitter })).toEqual([])
    expect(warnings({ transmitter: 'https://other.example.com', provider: 'corp' })).toEqual([])
    expect(warnings({ transmitter: 'https://other.example.com' })).toEqual([
      expect.stringContaining('signals.provider: is not given, so its subjects are users of pool'),
    ])
  })
})
