// What every driver must do, and guest networks with real guests, without root.
import { join } from 'node:path'
import { test } from 'node:test'
import { tiny } from '../guest/a-tiny.ts'
import { obstacle, passAsOrdinaryUser } from './an-ordinary-user.ts'

/** What this hypervisor is not asked for. */
const othersTests = 5

test('the driver’s contract without root', { skip: obstacle() ?? false }, () => {
  passAsOrdinaryUser([join(import.meta.dirname, '../contract.test.ts')], othersTests)
})

test('real machines in guest networks without root', {
  skip: obstacle() ?? (!tiny && 'tiny cannot be built here'),
}, () => {
  passAsOrdinaryUser([join(import.meta.dirname, 'networks.guest.test.ts')])
})
