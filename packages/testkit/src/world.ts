import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../gateway/src/config/load.ts'
import type { Config } from '../../gateway/src/config/schema.ts'
import type { DevelopmentClient } from '../../gateway/src/demo/provider-users.ts'
import type { SessionStore } from '../../gateway/src/session/store.ts'
import { type RunningGateway, startGateway } from '../../gateway/src/start.ts'
import { Browser } from './browser.ts'
import type { BrowserOptions, FetchOptions, SignInOptions } from './browser-options.ts'
import { FakeClock } from './clock.ts'
import { adminToken, type ConfigInput, defaultConfig, environmentOf, overlay, registrationOf } from './config.ts'
import { reservePort } from './listen.ts'
import { type CapturedLog, captureLog } from './log.ts'
import type { Page } from './page.ts'
import { startTestProvider, type TestProviderOptions } from './provider.ts'
import type { TestProvider } from './provider-api.ts'
import { startUpstream, type Upstream } from './upstream.ts'

export interface WorldOptions {
  /** Laid over the default configuration: see `overlay` and `defaultConfig`. A function may look at the addresses. */
  readonly config?: ConfigInput | ((world: { upstream: string; origin: string; folder: string }) => ConfigInput)
  /** Names of the providers; the first is the default one. `['corp']` if absent. */
  readonly providers?: readonly string[]
  readonly provider?: Omit<TestProviderOptions, 'clients' | 'now'>
  /** How the gateway is registered at each provider, over `registrationOf`. */
  readonly client?: Partial<DevelopmentClient>
  /** Issuers made elsewhere (a hostile provider), under their names. */
  readonly issuers?: Readonly<Record<string, string>>
  /** `memory` (the default) or `lmdb` in the world's folder. */
  readonly store?: 'memory' | 'lmdb' | SessionStore
  /** The host of the application; providers live on the other one, so that the two are two sites. */
  readonly host?: '127.0.0.1' | 'localhost'
  readonly clock?: FakeClock
  /** Runs when all but the gateway is up: take the provider down, write files. */
  readonly beforeStart?: (world: { provider: TestProvider; upstream: Upstream; folder: string }) => void | Promise<void>
}

const spa: Readonly<Record<string, string>> = {
  'index.html': '<!doctype html><title>App</title><script type="module" src="/app.js"></script><h1>The app</h1>\n',
  'app.js': "document.body.dataset.ready = 'yes'\n",
}

/**
 * Everything a story needs, in this process: real providers, a sample API, the gateway, browsers and a clock that stands
 * still. `await using world = await createWorld()`.
 */
export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { providers: names = ['corp'], host = '127.0.0.1', clock = new FakeClock(Date.now()) } = options
  const [port, adminPort, upstream] = await Promise.all([reservePort(), reservePort(), startUpstream()])
  const origin = `http://${host}:${port}`
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-world-'))
  mkdirSync(join(folder, 'public'))
  for (const [name, text] of Object.entries(spa)) writeFileSync(join(folder, 'public', name), text)

  const issuerHost = host === 'localhost' ? '127.0.0.1' : 'localhost'
  const start = (name: string) => {
    const clients = [{ ...registrationOf(name, origin), ...options.client }]
    return startTestProvider({ issuerHost, ...options.provider, clients, now: clock.now })
  }
  const providers = new Map(await Promise.all(names.map(async (name) => [name, await start(name)] as const)))
  const issuers = {
    ...Object.fromEntries([...providers].map(([name, provider]) => [name, provider.issuer])),
    ...options.issuers,
  }
  const defaults = defaultConfig({ origin, port, adminPort, upstream: upstream.url, issuers })
  const kind = typeof options.store === 'string' ? options.store : 'memory'
  const store = kind === 'lmdb' ? { kind, path: 'data/sessions' } : { kind }
  const own =
    typeof options.config === 'function' ? options.config({ upstream: upstream.url, origin, folder }) : options.config
  const parts: WorldParts = {
    clock,
    folder,
    upstream,
    providers,
    origin,
    log: captureLog(),
    config: overlay(overlay(defaults, { store }), own ?? {}),
    env: environmentOf(Object.keys(issuers)),
    store: typeof options.store === 'object' ? options.store : undefined,
  }
  const world = new World(parts)
  await options.beforeStart?.({ provider: world.provider, upstream, folder })
  await world.startGateway()
  return world
}

export interface AnotherGateway extends AsyncDisposable {
  readonly gateway: RunningGateway
  /** Sends a request of a browser, cookies to and fro, to this gateway. */
  fetch(browser: Browser, path: string, options?: FetchOptions): Promise<Page>
}

interface WorldParts {
  readonly clock: FakeClock
  readonly folder: string
  readonly upstream: Upstream
  readonly providers: ReadonlyMap<string, TestProvider>
  readonly origin: string
  readonly log: CapturedLog
  readonly config: ConfigInput
  readonly env: Record<string, string>
  readonly store: SessionStore | undefined
}

export class World implements AsyncDisposable {
  readonly clock: FakeClock
  /** The browser-visible origin of the application. */
  readonly origin: string
  /** Holds coatcheck.yaml, the key ring, the SPA and, with lmdb, the store. Removed at the end. */
  readonly folder: string
  readonly upstream: Upstream
  readonly log: CapturedLog
  readonly adminToken = adminToken
  readonly #parts: WorldParts
  readonly #browsers = new Map<string, Browser>()
  #running: { gateway: RunningGateway; config: Config } | undefined

  constructor(parts: WorldParts) {
    this.#parts = parts
    this.clock = parts.clock
    this.origin = parts.origin
    this.folder = parts.folder
    this.upstream = parts.upstream
    this.log = parts.log
  }

  /** The provider of that name; the first one by default. */
  providerNamed(name?: string): TestProvider {
    const { providers } = this.#parts
    const found = name === undefined ? [...providers.values()][0] : providers.get(name)
    if (!found) throw new Error(`The world has no provider ${name}.`)
    return found
  }

  get provider(): TestProvider {
    return this.providerNamed()
  }

  /** The browser of that name: the same one each time. */
  browser(name = 'user', options: Partial<BrowserOptions> = {}): Browser {
    const known = this.#browsers.get(name)
    if (known) return known
    const browser = new Browser({ base: this.origin, now: this.clock.now, ...options })
    this.#browsers.set(name, browser)
    return browser
  }

  /** The browser of that name, signed in as `ada` or another user. */
  async signedIn(options: Partial<SignInOptions> & { browser?: string } = {}): Promise<Browser> {
    const browser = this.browser(options.browser)
    const page = await browser.signIn({ as: 'ada', ...options })
    if (page.status >= 400) throw new Error(`Sign-in ended with ${page.status} (${page.title}) at ${page.url}`)
    return browser
  }

  get gateway(): RunningGateway {
    return this.#state.gateway
  }

  /** The configuration as the gateway read it. */
  get config(): Config {
    return this.#state.config
  }

  get store(): SessionStore {
    return this.gateway.store
  }

  /** The port on which the gateway listens, for `rawRequest`. */
  get port(): number {
    return Number(new URL(this.gateway.url).port)
  }

  /** The gateway's admin listener. */
  get adminUrl(): string {
    if (this.gateway.adminUrl === undefined) throw new Error('This world has no admin listener.')
    return this.gateway.adminUrl
  }

  /** Starts the gateway again after `stopGateway`, from the same folder; with other settings if given. */
  async startGateway(config: ConfigInput = {}): Promise<void> {
    const { clock, log, store } = this.#parts
    const loaded = this.#load(config)
    const gateway = await startGateway({ config: loaded, now: clock.now, log: log.logger, ...(store && { store }) })
    this.#running = { gateway, config: loaded }
  }

  /** Has the running gateway change over to the first configuration with these changes. */
  async reloadGateway(config: ConfigInput = {}): Promise<void> {
    const { gateway } = this.#state
    const loaded = this.#load(config)
    await gateway.reload({ config: loaded })
    this.#running = { gateway, config: loaded }
  }

  #load(config: ConfigInput): Config {
    const { folder, env } = this.#parts
    const file = join(folder, 'coatcheck.yaml')
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(overlay(this.#parts.config, config), null, 2))
    const loaded = loadConfig(file, { env })
    if (loaded.config) return loaded.config
    throw new Error(loaded.problems.map((one) => `${one.file}:${one.line}: ${one.path}: ${one.message}`).join('\n'))
  }

  /** A second gateway of the same application on the same store, as another node behind the load balancer. */
  async anotherGateway(): Promise<AnotherGateway> {
    const { admin: _, ...rest } = this.config
    const gateway = await startGateway({
      config: { ...rest, listen: { ...rest.listen, port: 0 } } as Config,
      now: this.clock.now,
      log: this.log.logger,
      store: this.store,
    })
    return {
      gateway,
      fetch: (browser, path, options) => browser.through(gateway.url).fetch(path, options),
      [Symbol.asyncDispose]: () => gateway.close({ graceMs: 0 }),
    }
  }

  async stopGateway(): Promise<void> {
    await this.#running?.gateway.close({ graceMs: 0 })
    this.#running = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopGateway()
    await this.upstream.close()
    for (const provider of this.#parts.providers.values()) await provider.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  get #state() {
    if (!this.#running) throw new Error('The gateway of this world does not run.')
    return this.#running
  }
}
