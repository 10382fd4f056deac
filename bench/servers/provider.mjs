// An OpenID provider that signs its one user in without a page: node provider.mjs PORT CLIENTS(JSON of [id, redirect_uri]).
import Provider from 'oidc-provider'

const [, , port, clients] = process.argv
const issuer = `http://127.0.0.1:${port}`
const day = 86_400

const provider = new Provider(issuer, {
  clients: JSON.parse(clients).map(([id, redirectUri]) => ({
    client_id: id,
    client_secret: 'bench-secret',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  })),
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  findAccount: (_context, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: 'Ada Lovelace', email: 'ada@example.com', email_verified: true }),
  }),
  // Nothing may expire or be refreshed while it is measured.
  ttl: { AccessToken: day, IdToken: day, RefreshToken: day, Grant: day, Session: day, Interaction: 600 },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_context, interaction) => `/sign-in/${interaction.uid}` },
  loadExistingGrant: async (context) => {
    const { client, params, session } = context.oidc
    const grant = new context.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope(params.scope)
    await grant.save()
    return grant
  },
  cookies: { keys: ['bench'] },
  pkce: { required: () => false },
})

provider.use(async (context, next) => {
  if (!context.path.startsWith('/sign-in/')) return next()
  const result = { login: { accountId: 'ada' }, consent: {} }
  context.redirect(await provider.interactionResult(context.req, context.res, result))
})

provider.listen(Number(port), '127.0.0.1')
