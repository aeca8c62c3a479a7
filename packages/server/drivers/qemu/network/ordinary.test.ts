// The tests of guest networks without root: in a user namespace.
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { carrier } from './user-way-out.ts'
import { obstacle, passAsOrdinaryUser } from './an-ordinary-user.ts'

test('guest networks without root', { skip: obstacle() ?? false }, () => {
  passAsOrdinaryUser(['networks.test.ts', 'isolation.test.ts'].map(name => join(import.meta.dirname, name)))
})

const noCarrier = spawnSync('which', [carrier]).status === 0 ? null : `${carrier} is not installed`

test('ways out of networks without root', { skip: obstacle() ?? noCarrier ?? false }, () => {
  passAsOrdinaryUser([join(import.meta.dirname, 'user-way-out.test.ts')], 0, true)
})
