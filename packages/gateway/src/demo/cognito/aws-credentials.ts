import { randomBytes } from 'node:crypto'

/** Temporary credentials as the stand-in minted them, and for whom. */
export interface MintedCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly roleArn: string
  /** Of the identity pool; absent where STS was asked directly with a token of another kind. */
  readonly identityId: string
  readonly tags: Readonly<Record<string, string>>
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  /** Answers of upstreams from now on: no longer good, though not yet at their end. */
  state: 'live' | 'expired' | 'revoked'
}

export interface AwsCredentialStore {
  /** Everything ever minted, the newest last. */
  readonly minted: readonly MintedCredentials[]
  mint(input: Pick<MintedCredentials, 'roleArn' | 'identityId' | 'tags'> & { seconds: number }): MintedCredentials
  find(accessKeyId: string): MintedCredentials | undefined
  /** Upstreams call all credentials that exist now expired. */
  expireAll(): void
  /** Upstreams know none of the credentials that exist now. */
  revokeAll(): void
}

/** Who holds which keys: the identity pool and STS mint them, upstreams verify signatures with them. */
export function createAwsCredentials({ now }: { now: () => number }): AwsCredentialStore {
  const minted: MintedCredentials[] = []
  const settle = (state: MintedCredentials['state']) => {
    for (const credentials of minted) credentials.state = state
  }
  return {
    minted,
    mint({ seconds, ...rest }) {
      const credentials: MintedCredentials = {
        ...rest,
        accessKeyId: `ASIA${keyId()}`,
        secretAccessKey: randomBytes(30).toString('base64'),
        // Opaque, and as long as a real one.
        sessionToken: `IQoJ${randomBytes(600).toString('base64')}`,
        expiresAt: now() + seconds * 1000,
        state: 'live',
      }
      minted.push(credentials)
      return credentials
    },
    find: (accessKeyId) => minted.find((one) => one.accessKeyId === accessKeyId),
    expireAll: () => settle('expired'),
    revokeAll: () => settle('revoked'),
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function keyId(): string {
  return Array.from(randomBytes(16), (byte) => alphabet[byte % 32]).join('')
}
