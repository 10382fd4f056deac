import fc from 'fast-check'
import { expect, test } from 'vitest'
import { networkOf } from '../../src/limits/network.ts'

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '::1'],
  ['::', '::'],
  ['::ffff:cb00:7107', '::ffff:cb00:7107'],
  ['::FFFF:203.0.113.7', '::ffff:cb00:7107'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['1:2:3::', '1:2:3:0::/64'],
  ['64:ff9b::203.0.113.7', '64:ff9b::cb00:7107'],
  ['64:ff9b:1:2::203.0.113.7', '64:ff9b:1:2::/64'],
  ['1:2:3:4:5:6:203.0.113.7', '1:2:3:4::/64'],
])('MO2 %s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
})

test('MO2 all addresses of a /64 that is not one of IPv4 are one, in every spelling; what is no address stays short', () => {
  const group = fc.integer({ min: 0, max: 0xffff })
  const groups = (length: number) => fc.array(group, { minLength: length, maxLength: length })
  const ofIpv4 = ['0,0,0,0', '100,65435,0,0']
  const fronts = groups(4).filter((front) => !ofIpv4.includes(front.join()))
  fc.assert(
    fc.property(fronts, groups(4), groups(4), (front, one, other) => {
      const hex = (numbers: number[]) => numbers.map((number) => number.toString(16)).join(':')
      const long = (numbers: number[]) => numbers.map((n) => n.toString(16).toUpperCase().padStart(4, '0')).join(':')
      const network = networkOf(`${hex(front)}:${hex(one)}`)
      expect(networkOf(`${long(front)}:${long(other)}`)).toBe(network)
      expect(networkOf(new URL(`http://[${hex(front)}:${hex(other)}]`).hostname.slice(1, -1))).toBe(network)
    }),
  )
  expect(networkOf(':'.repeat(10_000)).length).toBeLessThan(50)
  expect(networkOf('1'.repeat(10_000)).length).toBeLessThan(50)
})
