/** What it means that the pool, or STS, gives no credentials. */
export type FailureKind =
  /** This user gets no role. */
  | 'denied'
  /** Nobody gets one, before somebody changes the configuration here or there. */
  | 'refused'
  /** Later, perhaps. */
  | 'unavailable'

export function failureKindOf(error: unknown): FailureKind {
  if (!(error instanceof Error)) return 'refused'
  const { name } = error
  if (denied.has(name)) return 'denied'
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
  // No status: there was no answer, or it came too late.
  if (status === undefined || status >= 500 || status === 429 || busy.has(name)) return 'unavailable'
  return 'refused'
}

/** What the log says of it: the error's name and the reason of AWS, which holds no secret but may repeat what was sent. */
export function reasonOf(error: unknown, secrets: readonly string[]): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return secrets.reduce((left, secret) => (secret === '' ? left : left.replaceAll(secret, '[token]')), text)
}

const denied = new Set([
  ...['NotAuthorizedException', 'AccessDenied', 'AccessDeniedException', 'ResourceConflictException'],
  // How the pool says that the user's role is missing, or doesn't trust it.
  'InvalidIdentityPoolConfigurationException',
])

const busy = new Set([
  ...[
    'TooManyRequestsException',
    'LimitExceededException',
    'Throttling',
    'ThrottlingException',
    'RequestLimitExceeded',
  ],
  ...['InternalErrorException', 'ExternalServiceException', 'IDPCommunicationError'],
])
