import { Agent, type Dispatcher } from 'undici'
import type { ProviderConfig } from '../config/schema.ts'
import { readText } from '../config/surroundings.ts'
import { ProviderFault } from './provider-fault.ts'
import { ReadResponse } from './read-response.ts'
import { AnswerReader } from './whole-answer.ts'

/** What a provider answers is read whole before anything trusts it, so it may be neither endless nor slow. */
export interface FetchLimits {
  /** Milliseconds for the whole exchange. */
  readonly timeout: number
  /** Bytes of the answer's body. */
  readonly maxBytes: number
}

/** Sends one request and reads the answer whole, within limits. Follows no redirect. */
export type Send = (url: string, init: RequestInit, limits: FetchLimits) => Promise<Response>

/**
 * The way to a provider, over connections that are kept: with the client's certificate, and trusting the provider's own
 * authorities, where it has such. Files are read now, so that a broken one stops the start instead of a sign-in.
 *
 * Not by `fetch`: its streams cost more than all the rest of a refresh, and a thousand sessions refresh at once.
 * @throws Error when a file can't be read
 */
export function createSend(
  { ca, clientCertificate }: Pick<ProviderConfig, 'ca' | 'clientCertificate'> = {},
  readFile: (path: string) => string = readText,
): Send {
  const agent = new Agent({
    connect: {
      ...(ca !== undefined && { ca: readFile(ca) }),
      ...(clientCertificate && {
        cert: readFile(clientCertificate.cert),
        key: readFile(clientCertificate.key),
      }),
    },
  })
  return (url, init, limits) => sendBy(agent, url, init, limits)
}

/** The way to all who need no certificate and have none of their own. */
export const sendUsually: Send = createSend()

async function sendBy(agent: Agent, url: string, init: RequestInit, { timeout, maxBytes }: FetchLimits) {
  const { origin, pathname, search } = new URL(url)
  const { body, method = 'GET', signal } = init
  const reader = new AnswerReader({
    maxBytes,
    tooLarge: () => new ProviderFault(`an answer of more than ${maxBytes} bytes`),
  })
  const late = setTimeout(() => reader.abort(new DOMException('no answer in time', 'TimeoutError')), timeout)
  const onAbort = () => reader.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort)
  if (signal?.aborted) onAbort()
  try {
    agent.dispatch(
      {
        origin,
        path: pathname + search,
        method: method as Dispatcher.HttpMethod,
        headers: [...new Headers(init.headers), ['accept-encoding', 'identity']].flat(),
        body: bytesOf(body),
      },
      reader,
    )
    const { body: bytes, ...head } = await reader.answer
    return new ReadResponse(bytes, head)
  } finally {
    clearTimeout(late)
    signal?.removeEventListener('abort', onAbort)
  }
}

function bytesOf(body: RequestInit['body']): string | null {
  if (body === undefined || body === null) return null
  if (typeof body === 'string' || body instanceof URLSearchParams) return body.toString()
  throw new TypeError('a body that is neither text nor a form')
}
