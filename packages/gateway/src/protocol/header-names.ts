/**
 * What becomes of each request header, by name: one table, built once. Unknown names are forwarded; everything that an
 * upstream might believe (who the user is, where the request came from, which path or method was meant) is withheld
 * and, where the gateway vouches for it, set fresh.
 * @see RFC 9110 §5.1, §7.6 · BCP OAuth browser-based apps §6.1.1 · GHSA-vjrc-mh2v-45x6 (`_` for `-`)
 */
export interface NameRule {
  /** Index into the values that the sift collects; -1: not collected. */
  readonly slot: number
  /** More than one such line is ambiguous: two readers may believe two different ones. */
  readonly once: boolean
  readonly forward: boolean
  /** Hop-by-hop: the only names that Connection may nominate, besides ones that nobody relies on. */
  readonly hop: boolean
}

/** The collected headers. Several names of a slot that is not `once` are joined by a comma. */
export const Slot = {
  host: 0,
  cookie: 1,
  csrf: 2,
  origin: 3,
  secFetchSite: 4,
  secFetchMode: 5,
  secFetchDest: 6,
  secPurpose: 7,
  accept: 8,
  contentType: 9,
  contentLength: 10,
  transferEncoding: 11,
  forwardedFor: 12,
  forwardedProto: 13,
  forwardedHost: 14,
  userAgent: 15,
  acceptLanguage: 16,
  referer: 17,
  traceparent: 18,
  tracestate: 19,
  upgrade: 20,
  expect: 21,
  connection: 22,
  // Collected only so that a second one is noticed:
  authorization: 23,
  secFetchUser: 24,
  range: 25,
  ifRange: 26,
  ifModifiedSince: 27,
  ifUnmodifiedSince: 28,
  requestMethod: 29,
  requestHeaders: 30,
  csrfToken: 31,
} as const
export const SLOTS = 32

const passed: NameRule = { slot: -1, once: false, forward: true, hop: false }
const withheld: NameRule = { slot: -1, once: false, forward: false, hop: false }
const hopByHop: NameRule = { slot: -1, once: false, forward: false, hop: true }
/** Not a header name at all: the request is refused. */
export const invalidName: NameRule = { ...withheld }

const once = (slot: number): NameRule => ({ slot, once: true, forward: true, hop: false })
const joined = (slot: number): NameRule => ({ ...once(slot), once: false })
const kept = (rule: NameRule): NameRule => ({ ...rule, forward: false })
const hopped = (rule: NameRule): NameRule => ({ ...kept(rule), hop: true })

const rules: Record<string, NameRule> = {
  host: kept(once(Slot.host)),
  cookie: kept(once(Slot.cookie)),
  authorization: kept(once(Slot.authorization)),
  dpop: withheld,
  origin: once(Slot.origin),
  'sec-fetch-site': once(Slot.secFetchSite),
  'sec-fetch-mode': once(Slot.secFetchMode),
  'sec-fetch-dest': once(Slot.secFetchDest),
  'sec-fetch-user': once(Slot.secFetchUser),
  'content-type': once(Slot.contentType),
  'content-length': once(Slot.contentLength),
  'transfer-encoding': kept(once(Slot.transferEncoding)),
  referer: once(Slot.referer),
  'user-agent': once(Slot.userAgent),
  expect: kept(once(Slot.expect)),
  range: once(Slot.range),
  'if-range': once(Slot.ifRange),
  'if-modified-since': once(Slot.ifModifiedSince),
  'if-unmodified-since': once(Slot.ifUnmodifiedSince),
  'access-control-request-method': once(Slot.requestMethod),
  'access-control-request-headers': once(Slot.requestHeaders),

  accept: joined(Slot.accept),
  'accept-language': joined(Slot.acceptLanguage),
  'sec-purpose': joined(Slot.secPurpose),
  purpose: joined(Slot.secPurpose),
  'x-moz': joined(Slot.secPurpose),
  'x-purpose': joined(Slot.secPurpose),

  // Joined, two of them equal nothing that the gateway trusts.
  'x-csrf': kept(joined(Slot.csrf)),
  // An application behind a route of another kind may have tokens of its own: forwarded, unless the route's are ours.
  'x-csrf-token': joined(Slot.csrfToken),
  'x-forwarded-for': kept(joined(Slot.forwardedFor)),
  'x-forwarded-proto': kept(joined(Slot.forwardedProto)),
  'x-forwarded-host': kept(joined(Slot.forwardedHost)),
  traceparent: kept(joined(Slot.traceparent)),
  tracestate: kept(joined(Slot.tracestate)),

  connection: hopped(joined(Slot.connection)),
  upgrade: hopped(joined(Slot.upgrade)),
}

const HOP_BY_HOP = ['keep-alive', 'te', 'trailer', 'http2-settings', 'proxy-connection', 'close']

const WITHHELD = [
  // where the request came from
  ...['forwarded', 'via', 'x-real-ip', 'x-client-ip', 'x-cluster-client-ip', 'client-ip', 'true-client-ip'],
  ...['cf-connecting-ip', 'cf-connecting-ipv6', 'fastly-client-ip', 'fly-client-ip', 'do-connecting-ip', 'x-forwarded'],
  ...['forwarded-for', 'x-azure-clientip', 'x-azure-socketip', 'x-nf-client-connection-ip', 'x-proxyuser-ip'],
  ...['remote-addr', 'remote-host', 'x-host', 'x-http-host-override', 'x-request-id', 'x-originating-ip'],
  ...['x-true-client-ip', 'ali-cdn-real-ip', 'cdn-src-ip', 'x-server-name'],
  ...['x-scheme', 'x-url-scheme', 'front-end-https', 'x-proxied-https'],
  // another path or method than the one that was checked
  ...['x-http-method-override', 'x-http-method', 'x-method-override', 'x-rewrite-url', 'x-waws-unencoded-url'],
  ...['x-http-destinationurl', 'x-matched-path', 'x-now-route-matches'],
  // gunicorn cuts SCRIPT_NAME off the path, whoever sends it: `/public/admin` would be `/admin` to the application
  ...['script-name', 'x-script-name', 'path-info'],
  ...['x-http-path-override', 'x-override-url', 'x-replaced-path', 'x-nextjs-matched-path', 'dapr-app-id'],
  // which file to answer with, and where that lies (Rack::Sendfile, CVE-2025-61780)
  ...['x-sendfile-type', 'x-accel-mapping'],
  // identity, as other proxies in front of an application assert it
  ...['remote-user', 'remote-group', 'remote-groups', 'remote-name', 'remote-email', 'remote-ident', 'x-userinfo'],
  ...['client-cert', 'client-cert-chain', 'x-client-cert', 'x-client-verify', 'x-client-dn', 'x-arr-clientcert'],
  ...['x-credential-identifier', 'x-anonymous-consumer', 'teleport-jwt-assertion', 'x-jwt-assertion'],
  ...['x-endpoint-api-userinfo', 'x-apigateway-api-userinfo', 'x-apigateway-event', 'x-apigateway-context'],
  ...['iv-user', 'iv-user-l', 'iv-groups', 'iv-creds', 'sm-user', 'sm-userdn', 'eppn', 'oam-remote-user', 'auth-type'],
  ...['x-auth-user', 'x-auth-username', 'x-auth-email', 'x-auth-roles', 'x-auth-groups', 'x-auth-subject'],
  ...['x-httpd-username', 'x-jwt-payload', 'x-serverless-authorization'],
  // as whom to act
  ...['es-security-runas-user', 'x-scope-orgid'],
  // httpoxy: CGI makes HTTP_PROXY of it (CVE-2016-5385)
  'proxy',
]

const WITHHELD_PREFIXES = [
  ...['x-forwarded-', 'x-coatcheck-', 'x-original-', 'proxy-', 'x-envoy-', 'x-auth-request-', 'x-ssl-', 'ssl-client-'],
  ...[
    'x-client-cert-',
    'x-amzn-oidc-',
    'x-amzn-mtls-',
    'x-goog-iap-',
    'x-goog-authenticated-',
    'x-ms-client-principal',
  ],
  ...['oidc-', 'x-tls-client-', 'remote-user-', 'x-remote-', 'x-authenticated-', 'x-webauth-', 'x-authentik-'],
  ...[
    'x-pomerium-',
    'x-consumer-',
    'x-ms-token-',
    'x-appengine-',
    'x-vercel-forwarded-',
    'cf-access-',
    'tailscale-user-',
  ],
  // Shibboleth, Vouch; Kubernetes: act as another
  ...['shib-', 'x-vouch-', 'impersonate-'],
  // WebSphere's own proxy ($WSRU: the user), WebLogic's; Next.js to itself (CVE-2025-29927: a request that carries it skips the application's checks)
  ...['-ws', 'wl-proxy-', 'x-middleware-', 'x-invoke-'],
]

/** Forwarded as they come; listed so that a browser's usual headers cost one look-up. */
const ORDINARY = [
  ...['accept-encoding', 'cache-control', 'pragma', 'upgrade-insecure-requests', 'dnt', 'sec-gpc', 'priority'],
  ...['if-none-match', 'if-match', 'x-requested-with', 'content-encoding', 'sec-ch-ua', 'sec-ch-ua-mobile'],
  ...['sec-ch-ua-platform', 'sec-fetch-storage-access', 'last-event-id', 'sec-websocket-key'],
  ...['sec-websocket-version', 'sec-websocket-extensions', 'sec-websocket-protocol'],
]

const otherSpellings = {
  'X-CSRF': 'x-csrf',
  'X-CSRF-Token': 'x-csrf-token',
  TE: 'te',
  DNT: 'dnt',
  'Sec-GPC': 'sec-gpc',
}

/** Lower case, and Canonical-Case as browsers send over HTTP/1.1. Other spellings go through `classify`. */
const bySpelling = new Map<string, NameRule>()
for (const name of ORDINARY) add(name, passed)
for (const name of WITHHELD) add(name, withheld)
for (const name of HOP_BY_HOP) add(name, hopByHop)
for (const [name, rule] of Object.entries(rules)) add(name, rule)
for (const [spelling, name] of Object.entries(otherSpellings)) {
  bySpelling.set(spelling, bySpelling.get(name) ?? passed)
}

function add(name: string, rule: NameRule): void {
  bySpelling.set(name, rule)
  bySpelling.set(
    name.replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase()),
    rule,
  )
}

/** What becomes of a header of this name, in whatever letter case. */
export function ruleOf(name: string): NameRule {
  return bySpelling.get(name) ?? learned.get(name) ?? learn(name)
}

/**
 * An application's own names (`X-Client-Version`) come with every request: their rule is kept. A bounded number of them,
 * since names come from clients.
 */
const learned = new Map<string, NameRule>()
const maxLearned = 500

function learn(name: string): NameRule {
  const rule = classify(name)
  if (learned.size < maxLearned && name.length <= 64) learned.set(name, rule)
  return rule
}

/**
 * CGI, WSGI, PHP and their like make one variable of `X-Coatcheck-User` and `X_Coatcheck_User` (some, of `X.Coatcheck.User`
 * too). So a name is also judged with every such character read as `-`: what then collides with a name that we set,
 * strip or read is withheld in silence. Any other (`api_key`) passes, since ordinary applications use such names.
 */
function classify(name: string): NameRule {
  if (!TOKEN.test(name)) return invalidName
  const lower = name.toLowerCase()
  const known = bySpelling.get(lower)
  if (known !== undefined) return known
  const folded = lower.replace(/[^a-z0-9]/g, '-')
  if (folded !== lower && (bySpelling.get(folded) ?? passed) !== passed) return withheld
  for (const prefix of WITHHELD_PREFIXES) if (folded.startsWith(prefix)) return withheld
  return passed
}

/** RFC 9110 §5.6.2 */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
