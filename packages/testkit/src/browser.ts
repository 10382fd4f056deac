import type { Cookie } from 'tough-cookie'
import type { BrowserOptions, FetchOptions, SignInOptions, Stream, VisitOptions } from './browser-options.ts'
import { BrowserCookies } from './cookie-jar.ts'
import { browserHeaders, type Intent, isUnsafeNavigation, sameSiteOf, sameSiteOfAnswer } from './fetch-metadata.ts'
import { type Form, refreshOf, selfSubmitting } from './html.ts'
import { bodyOf, complete, lowerCase, type NewIntent, redirectOf } from './intents.ts'
import { Page } from './page.ts'
import { type Exchange, readBody, send, valuesOf } from './transport.ts'

const maxHops = 20

/**
 * A browser without a screen, over node:http: cookies, Fetch Metadata and Origin as Chromium sends them, redirects,
 * refreshes, forms. It runs no script, except that it knows a form that submits itself. It remembers all it saw.
 */
export class Browser {
  readonly base: string
  /** Everything that came in, in order: search it for what must never be there. */
  readonly seen: Exchange[] = []
  /** What the window shows. */
  page: Page | undefined
  readonly #options: BrowserOptions
  readonly #cookies: BrowserCookies

  constructor(options: BrowserOptions) {
    this.base = options.base
    this.#options = options
    this.#cookies = options.cookies ?? new BrowserCookies(options.now ?? Date.now)
  }

  /** Opens an address in the window. */
  async visit(address: string, options: VisitOptions = {}): Promise<Page> {
    const headers = { ...options.headers }
    const { method = 'GET', from, activated = true } = options
    const body = bodyOf(options.body, headers)
    const url = this.#resolve(address)
    return this.#navigate({ url, method, mode: 'navigate', dest: 'document', from, activated, headers, body }, options)
  }

  /** Calls an address as a script of the application does (or of another page, with `from`). */
  async fetch(address: string, options: FetchOptions = {}): Promise<Page> {
    const first = this.#scriptIntent(address, options)
    const exchange = await this.#exchange(first, options.signal)
    const next = options.follow ? redirectOf(first, exchange) : undefined
    return new Page(next ? await this.#chase(next) : exchange)
  }

  /** As `fetch`, for answers that don't end: server-sent events, slow downloads. Not recorded in `seen`. */
  async stream(address: string, options: FetchOptions = {}): Promise<Stream> {
    const intent = this.#scriptIntent(address, options)
    const controller = new AbortController()
    const headers = { ...this.#headers(intent), 'accept-encoding': 'identity' }
    const response = await send({ ...intent, headers, signal: controller.signal })
    response.on('error', () => {})
    const chunks: AsyncIterator<Buffer> = response[Symbol.asyncIterator]()
    const abort = () => controller.abort()
    return { status: response.statusCode ?? 0, rawHeaders: response.rawHeaders, chunks, abort }
  }

  /** Submits a form of a page by the button with this value, or by the first one. */
  async submit(
    page: Page,
    choice: { button?: string; fields?: Record<string, string> } & VisitOptions = {},
  ): Promise<Page> {
    const { button, fields = {}, ...options } = choice
    const form = page.forms.find((one) => button === undefined || one.buttons.some((each) => each.value === button))
    if (!form)
      throw new Error(`No form with ${button ? `the button ${button}` : 'a button'} on ${page.url}: ${page.text}`)
    const pressed = form.buttons.find((each) => button === undefined || each.value === button)
    const extra: Record<string, string> = { ...fields, ...(pressed?.name ? { [pressed.name]: pressed.value } : {}) }
    return this.#navigate(this.#formIntent(page, form, extra), options)
  }

  /** Starts a sign-in from the application and stops at the provider's page. */
  async startLogin(options: Omit<SignInOptions, 'as'> = {}): Promise<Page> {
    const { returnTo, provider, loginPath = '/auth/login', stopBefore } = options
    const query = new URLSearchParams({
      ...(returnTo === undefined ? {} : { return_to: returnTo }),
      ...(provider === undefined ? {} : { provider }),
    })
    const address = query.size === 0 ? loginPath : `${loginPath}?${query}`
    return this.visit(address, { from: this.base, ...(stopBefore ? { stopBefore } : {}) })
  }

  /** Signs in through the provider's own page, to the very end. Already signed in there: no page, no question. */
  async signIn(options: SignInOptions): Promise<Page> {
    const { as, password, stopBefore } = options
    const page = await this.startLogin(options)
    if (!page.forms.some((form) => form.buttons.some((button) => button.value === as))) return page
    const fields = password === undefined ? {} : { password }
    return this.submit(page, { button: as, fields, ...(stopBefore ? { stopBefore } : {}) })
  }

  /** Signs in, but stops where the provider sends the browser back: the callback address, not yet visited. */
  async callbackFor(options: SignInOptions): Promise<string> {
    const isCallback = (url: URL) => url.origin === new URL(this.base).origin && url.searchParams.has('state')
    const page = await this.signIn({ ...options, stopBefore: isCallback })
    if (page.location === undefined) throw new Error(`No callback, but ${page.status} at ${page.url}: ${page.text}`)
    return page.location
  }

  /** The live cookies that belong to the application, or to another address. */
  cookies(address = '/'): Cookie[] {
    return this.#cookies.for(this.#resolve(address))
  }

  /** Every live cookie, of every site. */
  allCookies(): Cookie[] {
    return this.#cookies.all()
  }

  /** Another browser with a copy of this one's cookies, as a thief has it; nothing is shared from then on. */
  saved(): Browser {
    return new Browser({ ...this.#options, cookies: this.#cookies.copy() })
  }

  /** The same browser, its cookies shared, sent to another node of the same origin: as a load balancer does. */
  through(base: string): Browser {
    const headers = { ...this.#options.headers, host: new URL(this.base).host }
    return new Browser({ ...this.#options, base, headers, cookies: this.#cookies })
  }

  async #navigate(intent: NewIntent, options: VisitOptions): Promise<Page> {
    let next: Intent | undefined = complete(intent)
    let page: Page | undefined
    for (let hop = 0; next; hop++) {
      if (hop > maxHops) throw new Error(`Too many redirects, the last to ${next.url}`)
      if (hop > 0 && options.stopBefore?.(next.url)) break
      const exchange: Exchange = await this.#exchange(next)
      page = new Page(exchange)
      this.page = page
      if (options.follow === false) break
      next = redirectOf(next, exchange) ?? this.#refresh(page) ?? this.#selfSubmit(page)
    }
    if (!page) throw new Error('Nothing was visited')
    return page
  }

  async #chase(first: Intent): Promise<Exchange> {
    let next: Intent | undefined = first
    for (let hop = 0; hop <= maxHops; hop++) {
      const exchange: Exchange = await this.#exchange(next)
      next = redirectOf(next, exchange)
      if (!next) return exchange
    }
    throw new Error(`Too many redirects, the last to ${next?.url}`)
  }

  async #exchange(intent: Intent, signal?: AbortSignal): Promise<Exchange> {
    const requestHeaders = this.#headers(intent)
    const response = await send({ ...intent, headers: requestHeaders, signal })
    const { url, method } = intent
    this.#cookies.store(valuesOf(response.rawHeaders, 'set-cookie'), url, sameSiteOfAnswer(intent))
    if (/"(cookies|\*)"/.test(response.headers['clear-site-data']?.toString() ?? '')) this.#cookies.clear(url)
    const { statusCode: status = 0, rawHeaders } = response
    const exchange = { url: url.href, method, requestHeaders, status, rawHeaders, body: await readBody(response) }
    this.seen.push(exchange)
    return exchange
  }

  #headers(intent: Intent): Record<string, string> {
    const context = sameSiteOf(intent, this.#options.sameSite ?? { redirectsCount: true })
    const cookie = this.#cookies.header(intent.url, context, isUnsafeNavigation(intent))
    const own = { ...browserHeaders(intent), ...this.#options.headers, ...intent.headers }
    return cookie === undefined ? own : { ...own, cookie }
  }

  #scriptIntent(address: string, options: FetchOptions): Intent {
    const { method = 'GET', from = this.base, mode = 'cors', dest = 'empty', csrf = true } = options
    const headers = { ...lowerCase(options.headers ?? {}) }
    if (csrf && !('x-csrf' in headers)) headers['x-csrf'] = '1'
    const body = bodyOf(options.body, headers)
    const { prefetch = false } = options
    const url = this.#resolve(address)
    return complete({ url, method, mode, dest, from, activated: false, headers, body, prefetch })
  }

  #formIntent(page: Page, form: Form, extra: Record<string, string>): NewIntent {
    const url = new URL(form.action, page.url)
    const data = new URLSearchParams([...form.fields.map(([name, value]): [string, string] => [name, value])])
    for (const [name, value] of Object.entries(extra)) data.set(name, value)
    const { method } = form
    const headers: Record<string, string> = {}
    const body = method === 'POST' ? bodyOf(data, headers) : undefined
    if (method !== 'POST') url.search = data.toString()
    return { url, method, mode: 'navigate', dest: 'document', from: page.url, activated: true, headers, body }
  }

  #refresh(page: Page): Intent | undefined {
    const target = refreshOf(page.text, page.header('refresh'))
    if (target === undefined) return undefined
    const url = new URL(target, page.url)
    return complete({ url, method: 'GET', mode: 'navigate', dest: 'document', from: page.url, activated: false })
  }

  #selfSubmit(page: Page): Intent | undefined {
    const form = page.header('content-type')?.startsWith('text/html') ? selfSubmitting(page.text) : undefined
    return form && complete({ ...this.#formIntent(page, form, {}), activated: false })
  }

  #resolve(address: string): URL {
    return new URL(address, this.base)
  }
}
