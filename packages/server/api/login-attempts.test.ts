import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loginAttempts } from './login-attempts.ts'

test('after ten failures the next try waits until five minutes after the first', () => {
  let now = 0
  const attempts = loginAttempts(() => now)
  for (let i = 0; i < 10; i++) {
    assert.equal(attempts.waitSeconds('eve'), 0)
    attempts.failed('eve')
    now += 1000
  }
  assert.equal(attempts.waitSeconds('eve'), 290)
  assert.equal(attempts.waitSeconds('alice'), 0)
  now = 300_000
  assert.equal(attempts.waitSeconds('eve'), 0)
})

test('who logs in begins anew', () => {
  const attempts = loginAttempts()
  for (let i = 0; i < 9; i++) attempts.failed('bob')
  attempts.succeeded('bob')
  attempts.failed('bob')
  assert.equal(attempts.waitSeconds('bob'), 0)
})
