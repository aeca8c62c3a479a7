// What users are not shown of how the installation is built: hosts, storage pools, and filters that would find them out.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { deployVm } from '../jobs/deploy-vm.ts'
import { call, callJob, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDeployment, aTemplate, type Lab, run, simulatedLab } from '../testing/lab.ts'
import { aRealm, callerOf, type Member } from '../testing/realm.ts'
import type { Answer } from './command.ts'

describe('what users are shown', () => {
  let lab: Lab
  let owner: Member
  let above: Member
  let id: string
  before(async () => {
    lab = await simulatedLab()
    const realm = await aRealm(lab)
    ;[owner, above] = [realm.alice, realm.eastAdmin]
    const input = await aDeployment(lab, await aTemplate(lab), owner.account)
    const job = await run(lab, deployVm, input)
    assert.equal(job.state, 'done', job.problem?.message)
    id = input.vm
    await lab.app.db.updateTable('volume').set({ account_id: owner.account }).where('vm_id', '=', input.vm).execute()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const shown = (object: unknown, fields: readonly string[]) => fields.filter(name => name in (object as Answer))
  const hidden = {
    listVirtualMachines: ['instancename', 'hostid', 'hostname'],
    listVirtualMachinesMetrics: ['instancename', 'hostid', 'hostname'],
    listVolumes: ['storageid', 'storage', 'path', 'podid', 'podname', 'clusterid', 'clustername'],
  }

  for (const [list, fields] of Object.entries(hidden))
    test(`${list} tells where things are to root administrators alone`, async () => {
      const given = list === 'listVolumes' ? { virtualmachineid: id, listall: true } : { id }
      assert.deepEqual(shown((await listed(lab, list, given))[0], fields), fields)
      for (const member of [owner, above]) {
        const [seen] = await listed(lab, list, given, await callerOf(lab, member))
        assert.ok(seen?.['id'], 'it is listed')
        assert.deepEqual(shown(seen, fields), [])
      }
    })

  test('nor does a job tell them, or a command that answers the machine', async () => {
    const user = await callerOf(lab, owner)
    const reboot = async (caller?: typeof user) =>
      (await callJob(lab, 'rebootVirtualMachine', { id }, caller))['virtualmachine'] as Answer
    const update = async (caller?: typeof user) =>
      (await call(lab, 'updateVirtualMachine', { id, displayname: 'x' }, caller))['virtualmachine'] as Answer
    for (const ask of [reboot, update]) {
      assert.ok((await ask())['hostname'])
      assert.deepEqual(shown(await ask(user), hidden.listVirtualMachines), [])
    }
  })

  test('a template tells them no pools', async () => {
    const asked = { templatefilter: 'executable' }
    const [seen] = await listed(lab, 'listTemplates', asked, await callerOf(lab, owner))
    assert.ok(seen && !('downloaddetails' in seen))
    assert.ok((await listed(lab, 'listTemplates', asked)).some(each => 'downloaddetails' in each))
  })

  test('filters by place are refused to them', async () => {
    const caller = await callerOf(lab, owner)
    for (const list of ['listVirtualMachines', 'listVolumes'])
      for (const filter of ['hostid', 'podid', 'clusterid', 'storageid'])
        await assert.rejects(call(lab, list, { [filter]: id }, caller), new RegExp(`${filter} is for administrators`))
  })

  test('a state that does not exist is told; none means any', async () => {
    for (const list of ['listVirtualMachines', 'listVolumes']) {
      await assert.rejects(call(lab, list, { state: 'Runing' }), /Parameter state must be one of .*; it is "Runing"/)
      assert.ok((await listed(lab, list, { state: '', listall: true })).length > 0)
    }
    assert.equal((await listed(lab, 'listVirtualMachines', { state: 'rUNNING', id })).length, 1)
    assert.equal((await listed(lab, 'listVirtualMachines', { state: 'present', id })).length, 1)
  })
})
