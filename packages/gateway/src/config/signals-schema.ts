import { z } from 'zod'
import { issuer, serverUrl } from './addresses.ts'
import { duration } from './quantities.ts'
import type { Path } from './review.ts'
import { secret } from './secret.ts'
import type { Surroundings } from './surroundings.ts'
import { filled, providerName } from './texts.ts'

const reachExpected = 'write own, all, or a list of names under providers'

/** Whose sessions somebody may end: a stranger's word about an address is worth what the operator lets it be. */
const reaches = () =>
  z
    .union([z.enum(['own', 'all']), z.array(providerName()).min(1, { error: reachExpected })], { error: reachExpected })
    .default('own')
    .describe(
      'Whose sessions it may end: of the users of its `own` provider, of `all` providers, or of those named here. What names a user beyond its own provider is a verified e-mail address, or issuer and subject.',
    )

function transmitterKeys(around: Surroundings) {
  const audience = filled('audience')
  return {
    audience: z
      .union([audience, z.array(audience).min(1, { error: 'name at least one audience' })], {
        error: 'write the audience, or a list of them',
      })
      .transform((value) => (typeof value === 'string' ? [value] : value))
      .describe('`aud` of its events: who we are to the transmitter. One of these must be in each event.'),
    provider: providerName()
      .optional()
      .describe(
        'The provider whose users its subjects are; by default the one with the same issuer, else `defaultProvider`.',
      ),
    reaches: reaches(),
    jwksUri: serverUrl()
      .optional()
      .describe('Where its keys are; by default its `/.well-known/ssf-configuration` says.'),
    authorization: secret(around)
      .optional()
      .describe('What it sends in `Authorization` with each push, with or without `Bearer` before it.'),
    poll: z
      .strictObject({
        url: serverUrl().describe("The stream's poll endpoint (RFC 8936)."),
        token: secret(around).describe('The bearer token for it.'),
        interval: duration({ max: '1d' }).prefault('30s').describe('How often to ask.'),
      })
      .optional()
      .describe('Fetch events instead of (or besides) having them pushed.'),
    verification: z
      .strictObject({
        stream: filled('stream').describe('`stream_id` of our stream at the transmitter.'),
        token: secret(around).describe('The bearer token for the verification endpoint.'),
        url: serverUrl()
          .optional()
          .describe('The verification endpoint; by default its `/.well-known/ssf-configuration` says.'),
      })
      .optional()
      .describe('Ask for a verification event at each start, so that the log shows that the stream works.'),
  }
}

/** Words of others about our sessions: Shared Signals, and who may call for a global token revocation. */
export function createSignalsSchema(around: Surroundings) {
  const keys = transmitterKeys(around)
  const transmitter = issuer().describe('Its issuer, letter for letter as `iss` of its events.')
  return z
    .strictObject({
      transmitter: transmitter.optional(),
      ...keys,
      audience: keys.audience.optional(),
      transmitters: z
        .array(z.strictObject({ transmitter, ...keys }))
        .default([])
        .describe('Further transmitters, with the same keys.'),
      revocation: z
        .record(
          providerName(),
          z.strictObject({
            issuer: issuer()
              .optional()
              .describe('`iss` of its tokens; by default the issuer of the provider of that name.'),
            jwksUri: serverUrl().optional().describe('Where its keys are; by default its discovery document says.'),
            audience: filled('audience').optional().describe('`aud` of its tokens; by default the address itself.'),
            caller: filled('caller')
              .optional()
              .describe('`sub` of its tokens: the client id or app instance at the identity provider.'),
            reaches: reaches(),
            identityProvider: filled('name')
              .optional()
              .describe(
                'Its name at the providers that it reaches (a user pool): users are then also found by `iss_sub`, as the `identities` of their sign-in list them.',
              ),
          }),
        )
        .default({})
        .describe(
          'Who may call `/auth/global-token-revocation/{name}`. A provider may for its own users, without an entry here.',
        ),
    })
    .superRefine((signals, ctx) => {
      const { transmitter, audience } = signals
      if (transmitter !== undefined && audience === undefined) {
        ctx.addIssue({ code: 'custom', path: ['audience'], message: 'is missing; write `aud` of the events' })
      }
      const without = transmitter === undefined ? firstKeys.find((key) => signals[key] !== undefined) : undefined
      if (without !== undefined) {
        ctx.addIssue({ code: 'custom', path: [without], message: 'says nothing without transmitter; write its issuer' })
      }
    })
}

const firstKeys = ['audience', 'provider', 'jwksUri', 'authorization', 'poll', 'verification'] as const

type Signals = z.output<ReturnType<typeof createSignalsSchema>>
export type TransmitterConfig = Signals['transmitters'][number]
export type RevocationConfig = Signals['revocation'][string]

/** All transmitters, and where each one stands in the configuration. */
export function transmittersOf(signals: Signals): { readonly at: Path; readonly config: TransmitterConfig }[] {
  const { transmitter, audience, transmitters, revocation: _, ...rest } = signals
  const first = transmitter !== undefined && audience !== undefined ? [{ ...rest, transmitter, audience }] : []
  return [
    ...first.map((config) => ({ at: ['signals'], config })),
    ...transmitters.map((config, index) => ({ at: ['signals', 'transmitters', index], config })),
  ]
}
