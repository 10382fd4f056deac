/**
 * The address of the client, as far as trusted hops vouch for it: from the right of X-Forwarded-For, the first one that
 * is not a trusted proxy. What stands further left is the client's own claim. @see ASVS 5.0 15.3.4
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | undefined,
  isTrusted: (address: string) => boolean,
): string {
  let address = plainAddress(peer)
  if (forwardedFor === undefined || !isTrusted(address)) return address
  const hops = forwardedFor.split(',')
  for (let at = hops.length - 1; at >= 0; at--) {
    const hop = plainAddress((hops[at] as string).trim())
    // An unreadable hop ends the chain of trust: the proxy before it is the last address that anyone vouches for.
    if (!looksLikeAddress.test(hop)) return address
    address = hop
    if (!isTrusted(address)) return address
  }
  return address
}

/** IPv4 in IPv6 clothes, as a dual-stack socket shows it, is the IPv4 address. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

const looksLikeAddress = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/
