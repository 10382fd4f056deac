import { expect, test } from 'vitest'
import { clientAddress } from '../../src/access/client-address.ts'
import { createTrustedProxies } from '../../src/access/trusted-proxies.ts'

const trusted = createTrustedProxies(['10.0.0.0/8', '::1', 'fd00::/8'])

test('PX9 X-Forwarded-For counts only as far as trusted hops vouch for it', () => {
  const cases: [peer: string, header: string | undefined, client: string][] = [
    ['203.0.113.9', undefined, '203.0.113.9'],
    ['203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['10.0.0.1', '6.6.6.6, 198.51.100.1', '198.51.100.1'],
    ['10.0.0.1', '6.6.6.6, 198.51.100.1, 10.0.0.2', '198.51.100.1'],
    ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['10.0.0.1', 'unknown', '10.0.0.1'],
    ['10.0.0.1', '198.51.100.1, <script>', '10.0.0.1'],
    ['10.0.0.1', '', '10.0.0.1'],
    ['::ffff:10.0.0.1', '2001:db8::7', '2001:db8::7'],
    ['::1', '::ffff:198.51.100.1', '198.51.100.1'],
    ['fd12::1', '198.51.100.1', '198.51.100.1'],
  ]
  for (const [peer, header, client] of cases)
    expect(clientAddress(peer, header, trusted), `${peer} ${header}`).toBe(client)
})

test('PX9 without trusted proxies the peer is the client', () => {
  expect(clientAddress('127.0.0.1', '6.6.6.6', createTrustedProxies([]))).toBe('127.0.0.1')
})
