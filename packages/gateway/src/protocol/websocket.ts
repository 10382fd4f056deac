import type { Offer } from '../decision.ts'

/** What a head says of a wish to become a WebSocket. */
export type Handshake =
  | { readonly kind: 'none' }
  | { readonly kind: 'handshake'; readonly offer: Offer }
  /** A version other than 13, the only one that there is. */
  | { readonly kind: 'other-version' }
  | { readonly kind: 'refused'; readonly reason: string }

/**
 * Reads a WebSocket handshake strictly: what a server behind us could read differently opens no tunnel through us. A body
 * above all: we would relay it as frames, and the upstream might answer it as a request.
 * @see RFC 6455 §4.2.1 · RFC 9110 §7.8
 */
export function readHandshake(method: string, rawHeaders: readonly string[]): Handshake {
  const values = collect(rawHeaders)
  const upgrade = values.get('upgrade')
  if (upgrade === undefined || !upgrade.some((value) => /websocket/i.test(value))) return { kind: 'none' }
  if (upgrade.length > 1 || !/^websocket$/i.test(upgrade[0] as string)) return refused('Upgrade is not websocket alone')
  if (method !== 'GET') return refused('a handshake that is no GET')
  const connection = list(values.get('connection')).map((option) => option.toLowerCase())
  if (!connection.includes('upgrade')) return refused('Upgrade without Connection: upgrade')
  for (const name of ['content-length', 'transfer-encoding', 'expect']) {
    if (values.has(name)) return refused(`a handshake with ${name}`)
  }
  const [version, ...moreVersions] = values.get('sec-websocket-version') ?? []
  if (version !== '13' || moreVersions.length > 0) return { kind: 'other-version' }
  const [key, ...moreKeys] = values.get('sec-websocket-key') ?? []
  // 16 bytes in base64, in the one spelling that they have.
  if (key === undefined || moreKeys.length > 0 || !/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key)) {
    return refused('Sec-WebSocket-Key is not one key')
  }
  const protocols = list(values.get('sec-websocket-protocol'))
  const extensions = extensionNames(values.get('sec-websocket-extensions'))
  return { kind: 'handshake', offer: { key, protocols, extensions } }
}

/**
 * Why an upstream's 101 opens no tunnel, or undefined when it does. `accept` is what it must have made of the key. An upstream
 * that switched to something else, or a cache that answers for it, would leave us relaying bytes that each side reads in a
 * way of its own. @see RFC 6455 §4.1, "the client MUST validate"
 */
export function agreementProblem(rawHeaders: readonly string[], offer: Offer, accept: string): string | undefined {
  const values = collect(rawHeaders)
  const one = (name: string) => (values.get(name)?.length === 1 ? values.get(name)?.[0] : undefined)
  if (!/^websocket$/i.test(one('upgrade') ?? '')) return 'the upstream switched to something else'
  if (!list(values.get('connection')).some((option) => /^upgrade$/i.test(option))) return 'no Connection: upgrade'
  if (one('sec-websocket-accept') !== accept) return 'Sec-WebSocket-Accept is wrong'
  const protocol = values.get('sec-websocket-protocol')
  if (protocol !== undefined && !(protocol.length === 1 && offer.protocols.includes(protocol[0] as string)))
    return 'a subprotocol that was not offered'
  const extensions = extensionNames(values.get('sec-websocket-extensions'))
  if (extensions.some((name) => !offer.extensions.includes(name))) return 'an extension that was not offered'
  return undefined
}

/** name, value, … of a 101 that the client sees: of the handshake, and cookies; nothing else has a meaning there. */
export function handshakeHeaders(sifted: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < sifted.length; i += 2) {
    const name = sifted[i] as string
    if (/^(?:sec-websocket-(?:accept|protocol|extensions)|set-cookie)$/i.test(name)) {
      kept.push(name, sifted[i + 1] as string)
    }
  }
  return kept
}

function refused(reason: string): Handshake {
  return { kind: 'refused', reason }
}

function collect(rawHeaders: readonly string[]): Map<string, string[]> {
  const values = new Map<string, string[]>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    const value = (rawHeaders[i + 1] as string).trim()
    const before = values.get(name)
    if (before) before.push(value)
    else values.set(name, [value])
  }
  return values
}

function list(values: readonly string[] | undefined): string[] {
  return (values ?? [])
    .join(',')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

function extensionNames(values: readonly string[] | undefined): string[] {
  return list(values).map((offer) => (offer.split(';', 1)[0] as string).trim().toLowerCase())
}
