import { createSampleApi, serve } from './api.ts'
import { asPublicClient, createBeforePage } from './app.ts'
import { beforeClient, createDemoConfig, gatewayClient, rolesOf, sampleUsers } from './config.ts'
import { nextFreePorts } from './ports.ts'
import { startDevelopmentProvider } from './provider.ts'
import { type DemoOptions, newSecret, type RunningDemo, stage } from './running.ts'

/** `coatcheck demo`: provider, gateway, sample app and API, and a page to compare with. */
export function startDemo(options: DemoOptions): Promise<RunningDemo> {
  return stage(options, async ({ origin, port, scheme, certificate, data, closes, startGateway }) => {
    const [beforePort = 0, providerPort = 0] = await nextFreePorts(port + 1, 2)
    const before = `${scheme}://localhost:${beforePort}`
    const clients = [gatewayClient(origin, newSecret()), beforeClient(before, newSecret())] as const
    const provider = await startDevelopmentProvider({
      // The same site as the pages, so that a silent sign-in in a frame can work: in the page where it does harm.
      issuerHost: 'localhost',
      port: providerPort,
      clients,
      users: sampleUsers,
      around: asPublicClient({ client: clients[1], origin: before }),
    })
    closes(provider)

    const about = { before, users: sampleUsers.map((user) => ({ name: user.name, roles: rolesOf(user) })) }
    const sampleApi = createSampleApi({ users: sampleUsers, about })
    const api = await serve(sampleApi)
    closes(api)

    const { issuer } = provider
    const { clientId } = clients[1]
    const page = createBeforePage({ origin: before, demo: origin, issuer, clientId, api: sampleApi })
    closes(await serve(page, { port: beforePort, tls: certificate }))

    const at = { origin, port, before, issuer, api: `http://127.0.0.1:${api.port}` }
    await startGateway(createDemoConfig(at, { data, clientSecret: clients[0].clientSecret, tls: certificate }))
    const width = Math.max(...sampleUsers.map(({ name }) => name.length)) + 3
    const users = sampleUsers.map((user) => `${user.name.padEnd(width)}${rolesOf(user).join(', ')}`)
    return [
      ['Sign in as', ...users, '(one click, no password)'],
      ['Compare with', `${before}  the same app, its tokens in localStorage`],
      ['Provider', issuer],
    ]
  })
}
