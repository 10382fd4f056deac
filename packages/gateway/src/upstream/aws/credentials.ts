/** Temporary credentials of one role, for one user. All of it is secret, the key id too. */
export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** Whose they are as well: the user's identity in the pool. */
export interface AwsCredentials extends AwsKeys {
  readonly identityId: string
}
