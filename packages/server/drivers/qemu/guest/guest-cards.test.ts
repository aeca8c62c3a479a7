// What a guest says of its network cards is a stranger's word: of any shape, and only compared.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identityProblems as problems } from '@ramet/core/identity.ts'
import { addressesIn, wrongWith } from './guest-cards.ts'

const own = { mac: '52:54:00:00:00:01', address: '10.1.1.5' }
const card = (mac: unknown, ...addresses: unknown[]) => ({
  'hardware-address': mac,
  'ip-addresses': addresses.map(each => ({ 'ip-address': each, 'ip-address-type': 'ipv4' })),
})
const wrong = (...said: unknown[]) => wrongWith([own], addressesIn(said))

test('a card with the address that it was given is confirmed, whatever else the guest has of its own', () => {
  assert.deepEqual(
    wrong({ name: 'lo' }, card('52:54:00:00:00:01', '10.1.1.5'), card('02:42:ac:00:00:01', '172.17.0.1')),
    [],
  )
  assert.deepEqual(wrong(card('52:54:00:00:00:01', '169.254.3.4', '10.1.1.5')), [])
  assert.deepEqual(wrongWith([{ ...own, address: null }], addressesIn([card(own.mac, '10.9.9.9')])), [])
})

test('a card without its address, or not there, is named', () => {
  assert.deepEqual(wrong(card(own.mac, '10.1.1.6')), [problems.address(own.mac)])
  assert.deepEqual(wrong(card(own.mac)), [problems.address(own.mac)])
  assert.deepEqual(wrong(), [problems.card(own.mac)])
})

test('a card of the source that is still there is named', () => {
  assert.deepEqual(wrong(card(own.mac, '10.1.1.5'), card('52:54:00:00:00:99')), [problems.inheritedCard])
})

test('answers of another shape confirm nothing and break nothing', () => {
  for (const said of [
    null,
    'text',
    7,
    {},
    [null],
    [{ 'hardware-address': {} }],
    [card([own.mac], '10.1.1.5')],
    [card(own.mac, {})],
  ])
    assert.notDeepEqual(wrongWith([own], addressesIn(said)), [])
})
