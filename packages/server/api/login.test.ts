// Logging in over HTTP, as somebody who guesses passwords would.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import cookie from '@fastify/cookie'
import fastify from 'fastify'
import { newId } from '@ramet/core/ids.ts'
import { administrator, call } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { type Lab, simulatedLab } from '../testing/lab.ts'
import { openDoor } from './door.ts'

describe('login', () => {
  let lab: Lab
  let domain: string
  const http = fastify()
  before(async () => {
    lab = await simulatedLab()
    await http.register(cookie)
    http.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_, body, done) =>
      done(null, body),
    )
    openDoor(http, lab.app)
    domain = (await administrator(lab)).domain.id
  })
  after(async () => {
    await http.close()
    await lab.close()
    await stopTestDatabase()
  })

  const aUser = async () => {
    const username = newId()
    const person = { firstname: 'x', lastname: 'x', email: 'x', password: 'right' }
    await call(lab, 'createAccount', { username, accounttype: 0, ...person })
    return username
  }
  const login = async (given: Record<string, string>) => {
    const payload = new URLSearchParams({ command: 'login', response: 'json', ...given }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return (await http.inject({ method: 'POST', url: '/client/api', headers, payload })).body
  }

  test('of many guesses at once, no more are judged than one after the other', async () => {
    const username = await aUser()
    const all = await Promise.all(Array.from({ length: 60 }, () => login({ username, password: 'wrong' })))
    assert.ok(all.filter(body => body.includes('Failed to authenticate')).length <= 10)
    assert.match(await login({ username, password: 'right' }), /Too many failed logins/)
  })

  test('a domain has one count, however its id is written', async () => {
    const username = await aUser()
    for (let i = 0; i < 10; i++) {
      const domainid = i % 2 ? domain.toUpperCase() : domain
      assert.match(await login({ username, password: 'wrong', domainid }), /Failed to authenticate/)
    }
    const spelled = domain.replace(/[a-f]/, letter => letter.toUpperCase())
    assert.match(await login({ username, password: 'right', domainid: spelled }), /Too many failed logins/)
  })

  test('whose account is disabled has no session any more, and gets none', async () => {
    const username = await aUser()
    assert.match(await login({ username, password: 'right' }), /sessionkey/)
    const { id } = await lab.app.db
      .selectFrom('user')
      .select('id')
      .where('username', '=', username)
      .executeTakeFirstOrThrow()
    await call(lab, 'disableUser', { id })
    assert.equal(
      await lab.app.db.selectFrom('session').select('user_id').where('user_id', '=', id).executeTakeFirst(),
      undefined,
    )
    assert.match(await login({ username, password: 'right' }), /Failed to authenticate/)
  })
})
