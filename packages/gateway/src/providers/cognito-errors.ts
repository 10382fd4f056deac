/**
 * A pool reports what went wrong at an identity provider as `invalid_request`, with words that are the provider's, a
 * trigger's or a library's. They go to the log; the person gets ours. The name is said only if the configuration has it:
 * nothing of the answer stands in the page.
 */
export function explainCognito(
  { error, description }: { error: string; description: string },
  known: readonly string[],
): string | undefined {
  const trigger = /^(?:PreSignUp|PostConfirmation|PreAuthentication|PostAuthentication|PreTokenGeneration)\b/i
  if (trigger.test(description)) return `The rules of this application do not let this account in. ${ask}`
  const [, named] = /^(.{1,64}?) Error - /.exec(description) ?? []
  if (error !== 'invalid_request' && named === undefined) return undefined
  const who = known.find((name) => name === named) ?? 'The identity provider'
  const [, says] = reasons.find(([pattern]) => pattern.test(description)) ?? []
  return `${who} ${says ?? 'did not complete the sign-in. Start again; if it happens again, tell whoever manages your access.'}`
}

const ask = 'If you think it should, ask whoever manages your access.'

const reasons: readonly (readonly [RegExp, string])[] = [
  [/access_denied|not assigned|not authorized|consent/i, `did not let this account in. ${ask}`],
  [/login_required|interaction_required/i, 'wants you to sign in there first. Start again.'],
  [
    /\b50[0-4]\b|connect|timed? ?out|unavailable|server_error/i,
    'can not be reached from the user pool. Try again shortly.',
  ],
  [
    /attribute|mapping/i,
    'says something of this account that the user pool can not keep. Tell whoever manages your access: the log has the reason.',
  ],
]
