import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import { errorPage, loginPage, type Page } from './provider-pages.ts'
import type { DevelopmentUser } from './provider-users.ts'

/** The path under which the sign-in pages live. */
export const interactionPath = '/interaction/'

export interface LoginOptions {
  readonly users: readonly DevelopmentUser[]
  /** Origins of the applications: a sign-in form's answer ends there. */
  readonly formTargets: readonly string[]
  /** The name of the provider that this one stands for. */
  readonly plays?: string
}

/** Shows the sign-in page and takes its answer. Anything odd becomes an error page. */
export async function handleInteraction(
  provider: Provider,
  exchange: { request: IncomingMessage; response: ServerResponse },
  options: LoginOptions,
): Promise<void> {
  const { request, response } = exchange
  try {
    if (request.method === 'POST') await answer(provider, exchange, options)
    else await show(provider, exchange, options)
  } catch (error) {
    // Typically: the sign-in was finished in another tab, or its cookie expired.
    if (!response.headersSent) send(response, 400, errorPage({ error: String(error) }))
  }
}

type Exchange = { request: IncomingMessage; response: ServerResponse }

async function show(provider: Provider, { request, response }: Exchange, options: LoginOptions, message?: string) {
  const { params, uid } = await provider.interactionDetails(request, response)
  const client = await provider.Client.find(String(params.client_id))
  const page = loginPage({
    action: `${interactionPath}${uid}`,
    application: client?.clientName ?? String(params.client_id),
    users: options.users,
    hint: typeof params.login_hint === 'string' ? params.login_hint : undefined,
    formTargets: options.formTargets,
    plays: options.plays,
    ...(message === undefined ? {} : { message }),
  })
  send(response, message === undefined ? 200 : 401, page)
}

async function answer(provider: Provider, exchange: Exchange, options: LoginOptions): Promise<void> {
  const { request, response } = exchange
  const form = await readForm(request)
  if (form.has('cancel')) {
    const result = { error: 'access_denied', error_description: 'The user cancelled the sign-in.' }
    return provider.interactionFinished(request, response, result)
  }
  const user = options.users.find((candidate) => candidate.sub === form.get('sub'))
  if (!user) return show(provider, exchange, options, 'There is no such user.')
  if (user.password !== undefined && user.password !== form.get('password')) {
    return show(provider, exchange, options, 'That password is wrong.')
  }
  await provider.interactionFinished(request, response, { login: { accountId: user.sub, amr: ['pwd'] } })
}

/** The fields of an urlencoded form of at most 16 KiB. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) {
    body += String(chunk)
    if (body.length > 16_384) throw new Error('The form is too large.')
  }
  return new URLSearchParams(body)
}

function send(response: ServerResponse, status: number, page: Page): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': page.csp,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  })
  response.end(page.html)
}
