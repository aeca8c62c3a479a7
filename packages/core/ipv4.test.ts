import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addressNumber, addressText, cidrOf, isWithin, netmaskOf, rangeOf, usableOf } from './ipv4.ts'

const aNumber = fc.integer({ min: 0, max: 2 ** 32 - 1 })

test('an address is read as it is written', () => {
  fc.assert(fc.property(aNumber, number => assert.equal(addressNumber(addressText(number)), number)))
})

test('what is no address, no netmask or no network is told apart', () => {
  for (const text of ['', '10.1.1', '10.1.1.256', '10.1.1.1.1', ' 10.1.1.1', '10.1.1.1/8', '1e1.0.0.0', '-1.0.0.0'])
    assert.equal(addressNumber(text), null, text)
  for (const text of ['10.1.1.0', '10.1.1.1/24', '10.1.1.0/33', '10.1.1.0/', '10.1.1.0/24/1', '10.1.1.0/024', 'x/8'])
    assert.equal(rangeOf(text), null, text)
  for (const mask of ['255.0.255.0', '0.0.0.1', '255.255.255', 'x']) assert.equal(cidrOf('10.1.1.1', mask), null, mask)
})

test('a network is found by any address in it and its netmask', () => {
  fc.assert(
    fc.property(aNumber, fc.integer({ min: 0, max: 32 }), (number, length) => {
      const mask = netmaskOf(`0.0.0.0/${length}`)
      const cidr = cidrOf(addressText(number), mask) as string
      assert.equal(netmaskOf(cidr), mask)
      const range = rangeOf(cidr)
      assert.ok(range && isWithin(range, addressText(number)), cidr)
      assert.equal(range.last - range.first + 1, 2 ** (32 - length))
    }),
  )
})

test('machines do not get the first and the last address; a network of two has none for them', () => {
  assert.deepEqual(usableOf('10.1.1.0/30'), { first: 0x0a010101, last: 0x0a010102 })
  assert.equal(usableOf('10.1.1.0/31'), null)
})
