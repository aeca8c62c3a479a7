// Who may use a template besides its owner.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { administrator, call, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { anAccount, aTemplate, type Lab, simulatedLab } from '../testing/lab.ts'
import type { Caller } from './caller.ts'

describe('launch permissions', () => {
  let lab: Lab
  let friend: Caller
  before(async () => {
    lab = await simulatedLab()
    const admin = await administrator(lab)
    const made = await anAccount(lab, admin.domain.id)
    const { db } = lab.app
    const account = await db.selectFrom('account').selectAll().where('id', '=', made.account).executeTakeFirstOrThrow()
    const user = await db.selectFrom('user').selectAll().where('id', '=', made.user).executeTakeFirstOrThrow()
    friend = { user, account, domain: admin.domain }
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const deploy = async (templateid: string) => {
    const [zone] = await listed(lab, 'listZones')
    const [offering] = await listed(lab, 'listServiceOfferings')
    const ids = { zoneid: String(zone?.['id']), serviceofferingid: String(offering?.['id']) }
    return call(lab, 'deployVirtualMachine', { ...ids, templateid }, friend)
  }
  const shown = async (filter: string, id: string) =>
    (await listed(lab, 'listTemplates', { templatefilter: filter, id }, friend)).length

  test('an account that is named may see and deploy a private template, until it is not named any more', async () => {
    const id = await aTemplate(lab, { is_public: false })
    await assert.rejects(deploy(id), { kind: 'forbidden' })
    assert.equal(await shown('shared', id), 0)
    for (const _ of ['first', 'again'])
      await call(lab, 'updateTemplatePermissions', { id, op: 'add', accounts: friend.account.name })
    const told = (await call(lab, 'listTemplatePermissions', { id }))['templatepermission'] as Record<string, unknown>
    assert.deepEqual([told['account'], told['ispublic']], [[friend.account.name], false])
    for (const filter of ['shared', 'sharedexecutable', 'executable']) assert.equal(await shown(filter, id), 1, filter)
    assert.ok((await deploy(id))['jobid'])
    await call(lab, 'updateTemplatePermissions', { id, op: 'reset' })
    await assert.rejects(deploy(id), { kind: 'forbidden' })
  })

  test('only the owner says who, and accounts must exist', async () => {
    const id = await aTemplate(lab, { is_public: true })
    await assert.rejects(call(lab, 'updateTemplatePermissions', { id, ispublic: false }, friend), { kind: 'forbidden' })
    await assert.rejects(
      call(lab, 'updateTemplatePermissions', { id, op: 'add', accounts: 'nobody' }),
      /accounts names "nobody"/,
    )
    await assert.rejects(call(lab, 'updateTemplatePermissions', { id, accounts: friend.account.name }), /op must be/)
    await call(lab, 'updateTemplatePermissions', { id, ispublic: false })
    await assert.rejects(deploy(id), { kind: 'forbidden' })
  })
})
