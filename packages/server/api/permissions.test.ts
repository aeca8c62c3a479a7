// Every command × who calls × whose thing it is about. What is refused must be refused for the right reason and change nothing;
// what is allowed must not fail of a permission.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { asProblem, type Problem } from '@ramet/core/problem.ts'
import { call, type Given } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDomain, anAccount, aTemplate, type Lab, quiet, simulatedLab } from '../testing/lab.ts'
import { type Expectation, expectations, newUser } from '../testing/permissions.ts'
import { aRealm, callerOf, fingerprint, type Member, type Realm, someThings, type Things } from '../testing/realm.ts'
import { authenticate } from './authenticate.ts'
import { type Caller, demandPermission } from './caller.ts'
import type { Answer, Command } from './command.ts'
import { commands } from './commands/index.ts'

type Name = 'root' | 'eastAdmin' | 'alice' | 'bob' | 'carol' | 'dave'

/** Who calls, and whose things that caller reaches. The rest is the test. */
const reach: Readonly<Partial<Record<Name, readonly Name[]>>> = {
  root: ['root', 'eastAdmin', 'alice', 'bob', 'carol', 'dave'],
  eastAdmin: ['eastAdmin', 'alice', 'bob', 'carol'],
  alice: ['alice'],
}
const callers = Object.keys(reach) as ('root' | 'eastAdmin' | 'alice')[]
const owners = reach.root as readonly Name[]
const role = { root: 'admins', eastAdmin: 'domain-admins', alice: 'all' } as const
const mayCall = (name: keyof typeof role, open: 'all' | 'domain-admins' | 'admins' = 'all') =>
  ['all', 'domain-admins', 'admins'].indexOf(open) <= ['all', 'domain-admins', 'admins'].indexOf(role[name])

describe('permissions', () => {
  let lab: Lab
  let realm: Realm
  let who: Record<Name, Caller>
  let things: Record<Name, Things>
  let stand: Given

  before(async () => {
    lab = await simulatedLab()
    realm = await aRealm(lab)
    await call(lab, 'updateConfiguration', { name: 'allow.user.expunge.recover.vm', value: true })
    const { db } = lab.app
    who = await ofEach(owners, name => callerOf(lab, realm[name]))
    things = await ofEach(owners, name => someThings(lab, realm[name]))
    stand = {
      $zone: (await db.selectFrom('zone').select('id').executeTakeFirstOrThrow()).id,
      $offering: (await db.selectFrom('service_offering').select('id').executeTakeFirstOrThrow()).id,
      $diskoffering: (
        await db.selectFrom('disk_offering').select('id').where('size_bytes', 'is not', null).executeTakeFirstOrThrow()
      ).id,
      $networkoffering: (
        await db.selectFrom('network_offering').select('id').where('is_segment', '=', true).executeTakeFirstOrThrow()
      ).id,
      $template: await aTemplate(lab),
      $iso: await aTemplate(lab, { format: 'ISO' }),
    }
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const ofEach = async <T>(names: readonly Name[], make: (name: Name) => Promise<T>) =>
    Object.fromEntries(await Promise.all(names.map(async name => [name, await make(name)] as const))) as Record<Name, T>

  /** What comes of a call as it goes through the door. */
  const attempt = async (
    command: Command,
    caller: Caller,
    given: Given,
  ): Promise<{ answer: Answer } | { problem: Problem }> => {
    try {
      demandPermission(caller, command.permission, command.name)
      const filled = Object.fromEntries(
        Object.entries(given).map(([name, value]) => [name, stand[value as string] ?? value] as const),
      )
      return { answer: await call(lab, command.name, filled, caller) }
    } catch (error) {
      return { problem: asProblem(error) }
    }
  }
  const refusal = async (command: Command, caller: Caller, given: Given): Promise<string> => {
    const outcome = await attempt(command, caller, given)
    return 'problem' in outcome ? outcome.problem.kind : 'done'
  }
  const isForbidden = async (command: Command, caller: Caller, given: Given, what: string): Promise<void> => {
    const outcome = await attempt(command, caller, given)
    assert.ok('problem' in outcome, `${what}, and may`)
    assert.equal(outcome.problem.kind, 'forbidden', `${what}: ${outcome.problem.message}`)
  }
  const forOwner = ({ account, domain }: Member) => ({
    account: account === realm.root.account ? 'admin' : account, // other accounts are named as their ids
    domainid: domain,
  })
  const expected = (name: string) => [expectations[name] ?? []].flat() as readonly Expectation[]
  const covers = (command: Command) => expected(command.name).length > 0

  test('are declared for every command, and for no other', () => {
    assert.deepEqual(Object.keys(expectations).toSorted(), commands.map(({ name }) => name).toSorted())
  })

  test('are given to nobody without credentials', async () => {
    for (const { name } of commands) {
      const request = { pairs: [], raw: new Map([['command', name]]), cookies: {} }
      await assert.rejects(authenticate(lab.app, request), { kind: 'unauthenticated' }, name)
    }
  })

  for (const command of commands.filter(covers))
    test(`of ${command.name} refuse what is not the caller's, and change nothing by it`, async () => {
      const earlier = await fingerprint(lab)
      for (const expectation of expected(command.name))
        for (const name of callers) await refused(command, name, expectation)
      assert.deepEqual(await fingerprint(lab), earlier)
    })

  async function refused(
    command: Command,
    name: 'root' | 'eastAdmin' | 'alice',
    expectation: Expectation,
  ): Promise<void> {
    const caller = who[name]
    const only = 'open' in expectation ? expectation.open : 'only' in expectation ? expectation.only : 'all'
    if (!mayCall(name, only)) {
      assert.equal(await refusal(command, caller, {}), 'unauthenticated', `${name} calls ${command.name}`)
      return
    }
    for (const owner of owners.filter(each => !isReached(name, each, expectation)))
      for (const given of callsOn(expectation, things[owner]))
        await isForbidden(command, caller, given, `${name} calls ${command.name} on ${owner}'s`)
    if ('lists' in expectation) await listsOnlyWhatIsReached(command, name, expectation)
  }

  function isReached(name: Name, owner: Name, expectation: Expectation): boolean {
    if (!('domain' in expectation)) return reach[name]?.includes(owner) ?? false
    if (name === 'root') return true
    const { domain } = realm[owner]
    const own = domain === realm[name].domain
    return own ? !expectation.above : name === 'eastAdmin' && domain === realm.north
  }

  function callsOn(expectation: Expectation, owned: Things): Given[] {
    if ('on' in expectation) return [expectation.on(owned)]
    if ('for' in expectation) return [{ ...expectation.for(owned), ...forOwner(owned) }]
    return 'domain' in expectation ? [expectation.domain(owned)] : []
  }

  async function listsOnlyWhatIsReached(
    command: Command,
    name: Name,
    { lists, field = 'id', given = {} }: Extract<Expectation, { lists: unknown }>,
  ): Promise<void> {
    const seen = async (more: Given): Promise<unknown[]> => {
      const outcome = await attempt(command, who[name], { ...given, ...more })
      if ('problem' in outcome) {
        assert.equal(outcome.problem.kind, 'forbidden', `${command.name}: ${outcome.problem.message}`)
        return []
      }
      return ((Object.values(outcome.answer).find(Array.isArray) ?? []) as Answer[]).map(object => object[field])
    }
    const all = await seen({ listall: true, pagesize: -1 })
    for (const owner of owners) {
      const wanted = reach[name]?.includes(owner)
      const id = lists(things[owner])
      assert.equal(all.includes(id), wanted, `${name} calls ${command.name} and finds ${owner}'s`)
      assert.equal(
        (await seen(forOwner(things[owner]))).includes(id),
        wanted,
        `${name} asks ${command.name} for ${owner}`,
      )
      if (!wanted)
        assert.deepEqual(await seen({ id, listall: true }).then(ids => ids.filter(found => found === id)), [])
    }
    if (name !== 'root')
      assert.deepEqual(
        (await seen({})).filter(id => owners.some(owner => owner !== name && id === lists(things[owner]))),
        [],
        `${name} calls ${command.name} without listall`,
      )
  }

  for (const command of commands.filter(covers))
    test(`of ${command.name} are there for whoever has them`, async () => {
      for (const expectation of expected(command.name))
        for (const name of callers) await allowed(command, name, expectation)
      await quiet(lab)
    })

  async function allowed(
    command: Command,
    name: 'root' | 'eastAdmin' | 'alice',
    expectation: Expectation,
  ): Promise<void> {
    const only = 'open' in expectation ? expectation.open : 'only' in expectation ? expectation.only : 'all'
    if (!mayCall(name, only)) return
    const caller = await callerOf(lab, realm[name])
    if ('open' in expectation) {
      const outcome = await attempt(command, caller, {})
      const kind = 'problem' in outcome ? outcome.problem.kind : 'done'
      assert.ok(['done', 'invalid', 'refused'].includes(kind), `${name} calls ${command.name}: ${kind}`)
      return
    }
    for (const owner of owners.filter(each => each !== 'root' && isReached(name, each, expectation)))
      if (owner !== name || name === 'alice')
        for (const given of callsOn(expectation, await aFresh(name, owner, expectation))) {
          const outcome = await attempt(command, caller, given)
          const problem = 'problem' in outcome ? outcome.problem : null
          const isOfPermission = problem && ['forbidden', 'unauthenticated', 'internal'].includes(problem.kind)
          assert.ok(
            !isOfPermission,
            `${name} calls ${command.name} on ${owner}'s: ${problem?.code} ${problem?.message}`,
          )
          assert.notEqual(
            problem?.code,
            'unknown-id',
            `${name} calls ${command.name} on ${owner}'s: ${problem?.message}`,
          )
        }
  }

  /** In the same place, with things of its own, so that what one call ends another can still use. */
  async function aFresh(name: Name, owner: Name, expectation: Expectation): Promise<Things> {
    const { domain } = realm[owner]
    if ('domain' in expectation)
      return name === 'alice' ? things[owner] : { ...things[owner], domain: await aDomain(lab, newId(), domain) }
    return someThings(lab, owner === name ? realm[owner] : { ...(await anAccount(lab, domain)), domain })
  }

  test('of an administrator of the domain ROOT end at root administrators', async () => {
    const member = { ...(await anAccount(lab, realm.root.domain, 'DomainAdmin')), domain: realm.root.domain }
    const caller = await callerOf(lab, member)
    const { account, user, vm } = things.root
    const calls: [string, Given][] = [
      ['updateUser', { id: user, password: 'mine' }],
      ['getUserKeys', { id: user }],
      ['registerUserKeys', { id: user }],
      ['updateAccount', { id: account, networkdomain: 'x' }],
      ['createUser', { ...forOwner(things.root), ...newUser() }],
      ['createAccount', { accounttype: 1, ...newUser() }],
      ['destroyVirtualMachine', { id: vm }],
    ]
    for (const [name, given] of calls) {
      const command = commands.find(each => each.name === name) as Command
      await isForbidden(command, caller, given, name)
    }
  })
})
