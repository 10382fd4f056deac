/*
 * Which events of the log are counted, and how: one row each. A label's value is a word of ours or a configured name, never
 * text from a request, a user or a provider: each value is a time series that is kept for ever.
 */

export const eventCounters = {
  sessions_created: { help: 'Sessions that began.', labels: [] },
  sessions_renewed: { help: 'New values of session cookies (rotations).', labels: [] },
  sessions_ended: { help: 'Sessions that ended, by reason.', labels: ['reason'] },
  sessions_unknown: { help: 'Cookies that are of no session, or carry a wrong secret.', labels: [] },
  sign_ins: { help: 'Sign-ins that came back from a provider, by result.', labels: ['provider', 'result'] },
  refreshes: { help: 'Refreshes of access tokens, by result.', labels: ['provider', 'result'] },
  token_exchanges: { help: 'Tokens for upstreams asked of a provider, by result.', labels: ['provider', 'result'] },
  token_revocations: { help: 'Tokens to be revoked at their provider, by result.', labels: ['provider', 'result'] },
  provider_logouts: { help: 'Logouts that a provider asked for.', labels: ['provider', 'channel'] },
  signals: { help: 'Security events of transmitters (Shared Signals), by what became of them.', labels: ['outcome'] },
  offline_reads: { help: 'Requests that went on with an expired token while the provider was down.', labels: [] },
  limits_exceeded: {
    help: 'Networks and sessions that went beyond a limit, at most once a window each.',
    labels: ['limit'],
  },
  alerts: { help: 'Signs of theft or tampering; each one deserves a look.', labels: ['event'] },
  csp_violations: {
    help: 'What the policy of a page stopped, as browsers report it.',
    labels: ['directive', 'disposition'],
  },
  csp_reports_dropped: {
    help: 'Reports of browsers that came too fast or were of no page of ours.',
    labels: ['reason'],
  },
  users: { help: 'Changes of the directory of users, by what was done.', labels: ['action'] },
  users_claims_missing: {
    help: 'Users of whom claims that decide access came before, and do not come any more.',
    labels: ['provider'],
  },
  users_groups_incomplete: {
    help: 'Sign-ins whose token did not hold all groups of the user.',
    labels: ['provider', 'reason'],
  },
  admin_actions: { help: 'What was done over the admin listener.', labels: ['action'] },
} as const satisfies Record<string, { help: string; labels: readonly string[] }>

export type EventCounter = keyof typeof eventCounters
type Fields = Readonly<Record<string, unknown>>
export type Counted = readonly [counter: EventCounter, labels?: Fields]

/** By the event's name. A row that answers undefined counts nothing. */
export const eventMetrics: Readonly<Record<string, (fields: Fields) => Counted | undefined>> = {
  session_created: () => ['sessions_created'],
  session_renewed: () => ['sessions_renewed'],
  session_ended: ({ reason }) => ['sessions_ended', { reason }],
  session_unknown: () => ['sessions_unknown'],
  session_cookie_reused: ({ event }) => ['alerts', { event }],
  crypt_decrypt_fail: ({ event }) => ['alerts', { event }],
  session_guessing: ({ event }) => ['alerts', { event }],
  excess_rate_limit_exceeded: ({ limit }) => ['limits_exceeded', { limit }],
  authn_login_success: ({ provider }) => ['sign_ins', { provider, result: 'success' }],
  authn_login_fail: ({ provider, code }) => ['sign_ins', { provider, result: code }],
  authn_token_created: ({ provider }) => ['refreshes', { provider, result: 'success' }],
  authn_token_refused: ({ provider }) => ['refreshes', { provider, result: 'refused' }],
  authn_token_reuse: ({ provider }) => ['refreshes', { provider, result: 'reuse' }],
  provider_unavailable: ({ provider, during }) =>
    during === 'refresh' ? ['refreshes', { provider, result: 'unavailable' }] : undefined,
  authn_token_exchanged: ({ provider }) => ['token_exchanges', { provider, result: 'success' }],
  authn_token_exchange_failed: ({ provider, outcome }) => ['token_exchanges', { provider, result: outcome }],
  authn_token_revoked: ({ provider }) => ['token_revocations', { provider, result: 'done' }],
  authn_token_revocation_queued: ({ provider }) => ['token_revocations', { provider, result: 'queued' }],
  authn_token_revocation_refused: ({ provider }) => ['token_revocations', { provider, result: 'refused' }],
  authn_token_revocation_abandoned: ({ provider }) => ['token_revocations', { provider, result: 'abandoned' }],
  authn_backchannel_logout: ({ provider }) => ['provider_logouts', { provider, channel: 'back' }],
  authn_frontchannel_logout: ({ provider }) => ['provider_logouts', { provider, channel: 'front' }],
  signal_received: () => ['signals', { outcome: 'received' }],
  signal_ignored: () => ['signals', { outcome: 'ignored' }],
  signal_refused: ({ code }) => ['signals', { outcome: code }],
  offline_read: () => ['offline_reads'],
  csp_violation: ({ directive, disposition }) => ['csp_violations', { directive, disposition }],
  csp_report_dropped: ({ reason }) => ['csp_reports_dropped', { reason }],
  user_created: () => ['users', { action: 'created' }],
  user_changed: () => ['users', { action: 'changed' }],
  user_linked: () => ['users', { action: 'linked' }],
  user_link_refused: () => ['users', { action: 'link-refused' }],
  user_disabled: () => ['users', { action: 'disabled' }],
  user_enabled: () => ['users', { action: 'enabled' }],
  user_deleted: () => ['users', { action: 'deleted' }],
  user_claims_missing: ({ provider }) => ['users_claims_missing', { provider }],
  user_groups_incomplete: ({ provider, reason }) => ['users_groups_incomplete', { provider, reason }],
  authz_admin: ({ action }) => ['admin_actions', { action }],
}
