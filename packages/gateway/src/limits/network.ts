import { isIPv6 } from 'node:net'

/**
 * What an address is counted under. An IPv6 client has a whole /64 to itself and a new address for every request, if it
 * likes: the network is what it can't change. @see RFC 6177 · RFC 8981
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address.slice(0, longest)
  const plain = address.split('%', 1)[0] as string
  // From a proxy's header it may be any text of that alphabet, of any length.
  if (!isIPv6(plain)) return plain.slice(0, longest)
  const [front = '', back] = plain.split('::')
  const groups = front === '' ? [] : front.split(':')
  const after = back === undefined || back === '' ? [] : back.split(':')
  // An IPv4 address at the end stands for two groups.
  const length = groups.length + after.length + (plain.includes('.') ? 1 : 0)
  const zeros = back === undefined ? [] : Array<string>(8 - length).fill('0')
  const network = [...groups, ...zeros, ...after].slice(0, 4)
  // One spelling: 0DB8 and db8 are the same.
  const spelled = network.map((group) => Number.parseInt(group, 16).toString(16)).join(':')
  // All of IPv4 has its place in these two, and they belong to no one client. @see RFC 4291 §2.5.5 · RFC 6052 §2.1
  if (spelled === '0:0:0:0' || spelled === '64:ff9b:0:0') return new URL(`http://[${plain}]`).hostname.slice(1, -1)
  return `${spelled}::/64`
}

/** Characters: no address is longer, and keys are held. */
const longest = 45
