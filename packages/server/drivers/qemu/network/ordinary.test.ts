// The tests of guest networks without root: in a user namespace.
import { join } from 'node:path'
import { test } from 'node:test'
import { obstacle, passAsOrdinaryUser } from './an-ordinary-user.ts'

test('guest networks without root', { skip: obstacle() ?? false }, () => {
  passAsOrdinaryUser(['networks.test.ts', 'isolation.test.ts'].map(name => join(import.meta.dirname, name)))
})
