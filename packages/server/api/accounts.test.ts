// The end of an account: whatever table has an owner, nothing of the account is left there but history.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { sql } from 'kysely'
import { deployVm } from '../jobs/deploy-vm.ts'
import { call, callJob } from '../testing/call.ts'
import { holdRoom } from '../store/limits.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDeployment, aDomain, aTemplate, type Lab, quiet, run, simulatedLab } from '../testing/lab.ts'
import { aRealm, type Realm, someThings, type Things } from '../testing/realm.ts'

/** Rows that outlive the account: what happened, and files whose time is up. */
const history = new Set(['event', 'job', 'download'])

describe('deleting an account', () => {
  let lab: Lab
  let realm: Realm
  let things: Things

  before(async () => {
    lab = await simulatedLab()
    realm = await aRealm(lab)
    things = await someThings(lab, realm.alice)
    const job = await run(lab, deployVm, await aDeployment(lab, await aTemplate(lab), realm.alice.account))
    assert.equal(job.state, 'done', job.problem?.message)
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  /** How many rows of each table are the account's and not marked as removed. */
  async function left(account: string): Promise<Record<string, number>> {
    const { rows: tables } = await sql<{ name: string; stays: boolean }>`
      select c.table_name as name, exists (select from information_schema.columns r
        where r.table_schema = 'public' and r.table_name = c.table_name and r.column_name = 'removed') as stays
      from information_schema.columns c where c.table_schema = 'public' and c.column_name = 'account_id'`.execute(
      lab.app.db,
    )
    const counts = await Promise.all(
      tables.map(async ({ name, stays }) => {
        const { rows } = await sql<{ count: number }>`
          select count(*)::int as count from ${sql.table(name)}
          where account_id = ${account} and ${stays ? sql`removed is null` : sql`true`}`.execute(lab.app.db)
        return [name, rows[0]?.count ?? 0] as const
      }),
    )
    return Object.fromEntries(counts.filter(([name, count]) => count > 0 && !history.has(name)))
  }

  const remove = (id: string) => callJob(lab, 'deleteAccount', { id })

  test('is refused while something of it is protected, and nothing is touched', async () => {
    const earlier = await left(realm.alice.account)
    for (const [command, id] of [
      ['updateVirtualMachine', things.vm],
      ['updateVolume', things.volume],
    ] as const) {
      await call(lab, command, { id, deleteprotection: true })
      await quiet(lab)
      assert.match(String((await remove(realm.alice.account))['errortext']), /is protected from deletion/)
      await call(lab, command, { id, deleteprotection: false })
      await quiet(lab)
    }
    assert.deepEqual(await left(realm.alice.account), earlier)
  })

  test('goes on by asking again where the hypervisor did not answer, and the account stays closed meanwhile', async () => {
    lab.world.faults.set('machines.discard', 99)
    assert.match(String((await remove(realm.alice.account))['errortext']), /refuses machines.discard/)
    lab.world.faults.clear()
    const [account] = await accounts()
    assert.deepEqual([account?.['state'], account?.['iscleanuprequired']], ['disabled', true])
    await assert.rejects(call(lab, 'enableAccount', { id: realm.alice.account }), { code: 'account-ending' })
    const owner = { account: realm.alice.account, domainid: realm.east }
    const ending = { code: 'account-ending' }
    await assert.rejects(call(lab, 'createInstanceGroup', { ...owner, name: newId() }), ending)
    await assert.rejects(
      lab.app.db.transaction().execute(tx => holdRoom(tx, realm.alice.account, { vm: 1 })),
      ending,
    )
  })

  const accounts = async () =>
    ((await call(lab, 'listAccounts', { id: realm.alice.account }))['account'] ?? []) as Record<string, unknown>[]
  test('leaves nothing that it owned, and its history', async () => {
    assert.deepEqual(await remove(realm.alice.account), { success: true })
    assert.deepEqual(await left(realm.alice.account), {})
    assert.deepEqual(await accounts(), [])
    const { db } = lab.app
    const events = db.selectFrom('event').select('id').where('account_id', '=', realm.alice.account)
    assert.ok((await events.execute()).length > 0)
  })

  test('happens to all accounts of a domain that goes, and of the domains below it', async () => {
    await someThings(lab, realm.carol)
    assert.match(
      String((await callJob(lab, 'deleteDomain', { id: realm.east }))['errortext']),
      /has 3 accounts and 1 dom/,
    )
    const { domain } = await call(lab, 'createDomain', { name: 'late', parentdomainid: realm.east })
    assert.ok(domain, 'a refused deletion leaves the domain open')
    assert.deepEqual(await callJob(lab, 'deleteDomain', { id: realm.east, cleanup: true }), { success: true })
    for (const { account } of [realm.bob, realm.carol, realm.eastAdmin]) assert.deepEqual(await left(account), {})
    assert.notDeepEqual(await left(realm.dave.account), {})
    await aDomain(lab, 'east') // the name is free again
  })
})
