import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { connect as connectTls } from 'node:tls'
import type { Path } from '../config/review.ts'
import type { Config } from '../config/schema.ts'
import { readUpstreamTls, type UpstreamTls } from '../upstream/pool-settings.ts'
import { askIdentityPool } from './online-identity-pool.ts'
import { askProvider } from './online-provider.ts'
import { askTransmitters } from './online-transmitter.ts'

/** What `check --online` learned about one place in the configuration. */
export interface Finding {
  readonly path: Path
  readonly message: string
  /** Worth knowing, and not a failure. */
  readonly note?: boolean
}

export interface OnlineOptions {
  /** Milliseconds to wait for each answer. */
  readonly timeout?: number
}

/** Asks each provider, identity pool, transmitter, upstream and the store, all at the same time. */
export async function askOnline(config: Config, { timeout = 5_000 }: OnlineOptions = {}): Promise<Finding[]> {
  const providers = Object.entries(config.providers).map(([name, provider]) =>
    askProvider(name, provider, { timeout, exchange: config.routes.findIndex(exchanges) }),
  )
  const findings = await Promise.all([
    ...providers,
    ...Object.entries(config.providers).map(([name, provider]) => askIdentityPool(name, provider, timeout)),
    ...askTransmitters(config, timeout),
    ...askUpstreams(config, timeout),
    askStore(config),
  ])
  return findings.flat()
}

function exchanges({ credential }: Config['routes'][number]): boolean {
  return typeof credential === 'object' && credential.kind === 'exchange'
}

/** One connection for each upstream, however many routes lead there. */
function askUpstreams({ routes }: Config, timeout: number): Promise<Finding[]>[] {
  const first = new Map<string, number>()
  routes.forEach(({ addresses }, index) => {
    for (const address of addresses) if (!first.has(address)) first.set(address, index)
  })
  return [...first].map(async ([upstream, index]) => {
    const failure = await reach(new URL(upstream), timeout, routes[index]?.tls)
    return failure === undefined
      ? []
      : [{ path: ['routes', index, 'upstream'], message: `${upstream} does not answer: ${failure}` }]
  })
}

/** Connects (and for https, checks the certificate); sends nothing. Resolves to what went wrong. */
function reach(url: URL, timeout: number, tls?: UpstreamTls): Promise<string | undefined> {
  const secure = url.protocol === 'https:' || url.protocol === 'wss:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const target = { host, port: Number(url.port || (secure ? 443 : 80)) }
  return new Promise((resolve) => {
    // An IP address is no server name. @see RFC 6066 §3
    const servername = /[a-z]/i.test(host) && !host.includes(':') ? { servername: host } : {}
    const socket = secure ? connectTls({ ...target, ...servername, ...readUpstreamTls(tls) }) : connect(target)
    const end = (failure?: string): void => {
      socket.destroy()
      resolve(failure)
    }
    socket.setTimeout(timeout, () => end('no connection in time'))
    socket.once(secure ? 'secureConnect' : 'connect', () => end())
    socket.once('error', (error) => end('code' in error ? String(error.code) : error.message))
  })
}

/**
 * Opens an existing store and pings it. One that does not exist yet is not made here: whoever runs this check may be
 * another user, whose folder the gateway could not use.
 */
async function askStore({ store }: Config): Promise<Finding[]> {
  if (store.kind === 'memory') return []
  const path: Path = ['store', 'path']
  try {
    if ((await nearestFolder(store.path)) !== store.path) {
      await access(await nearestFolder(store.path), constants.W_OK)
      return [{ path, message: 'is not there yet; the gateway creates it at its first start', note: true }]
    }
    const { openStore } = await import('../stores/open.ts')
    const opened = await openStore(store, { now: Date.now })
    try {
      await opened.ping()
    } finally {
      await opened.close()
    }
    return []
  } catch (error) {
    return [
      {
        path,
        message: `the store cannot be used: ${error instanceof Error ? oneLine(error.message) : 'unknown error'}`,
      },
    ]
  }
}

async function nearestFolder(path: string): Promise<string> {
  const there = await stat(path).then(
    () => true,
    () => false,
  )
  return there || dirname(path) === path ? path : nearestFolder(dirname(path))
}

function oneLine(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200)
}
