// ISOs in the drives of machines: what their records say, what their drives hold, and what keeps an ISO from being deleted.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { TemplateId, VmId } from '@ramet/core/ids.ts'
import { call, callJob, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDeployment, aTemplate, anIso, type Lab, run, simulatedLab } from '../testing/lab.ts'
import { deployVm } from './deploy-vm.ts'
import { expungeVm } from './expunge-vm.ts'

describe('ISOs', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  async function aMachine(): Promise<VmId> {
    const input = await aDeployment(lab, await aTemplate(lab))
    assert.equal((await run(lab, deployVm, input)).state, 'done')
    return input.vm
  }
  const inDrive = (vm: VmId) => lab.world.machines.get(vm)?.cd ?? undefined
  const recorded = async (vm: VmId) => (await listed(lab, 'listVirtualMachines', { id: vm }))[0]?.['isoid']
  const attach = (vm: VmId, id: TemplateId) => callJob(lab, 'attachIso', { virtualmachineid: vm, id })

  test('an ISO is attached to a running machine, replaced, and taken out', async () => {
    const [vm, one, other] = [await aMachine(), await anIso(lab), await anIso(lab)]
    const done = await attach(vm, one)
    assert.equal((done['virtualmachine'] as Record<string, unknown>)['isoid'], one)
    assert.equal(inDrive(vm), one)
    await attach(vm, other)
    assert.deepEqual([inDrive(vm), await recorded(vm)], [other, other])
    assert.equal((await listed(lab, 'listVirtualMachines', { isoid: other })).length, 1)
    await callJob(lab, 'detachIso', { virtualmachineid: vm })
    assert.deepEqual([inDrive(vm), await recorded(vm)], [undefined, undefined])
    assert.match(String((await callJob(lab, 'detachIso', { virtualmachineid: vm }))['errortext']), /has no ISO/)
  })

  test('an ISO attached to a stopped machine is there when it starts', async () => {
    const [vm, iso] = [await aMachine(), await anIso(lab)]
    await callJob(lab, 'stopVirtualMachine', { id: vm, forced: true })
    await attach(vm, iso)
    await callJob(lab, 'startVirtualMachine', { id: vm })
    assert.equal(inDrive(vm), iso)
  })

  test('an attachment that fails leaves drive and record as they were', async () => {
    const [vm, one, other] = [await aMachine(), await anIso(lab), await anIso(lab)]
    await attach(vm, one)
    lab.world.faults.set('machines.changeMedium', 1)
    assert.match(String((await attach(vm, other))['errortext']), /refuses machines.changeMedium/)
    assert.deepEqual([inDrive(vm), await recorded(vm)], [one, one])
  })

  test('an ISO in a drive is not deleted; once the machine is gone it is', async () => {
    const [vm, iso] = [await aMachine(), await anIso(lab)]
    await attach(vm, iso)
    const refused = await callJob(lab, 'deleteIso', { id: iso })
    assert.deepEqual([refused['errorcode'], (await listed(lab, 'listIsos', { id: iso })).length], [536, 1])
    await run(lab, expungeVm, { vm, evenRunning: true })
    assert.equal((await callJob(lab, 'deleteIso', { id: iso }))['success'], true)
    assert.equal((await listed(lab, 'listIsos', { id: iso, isofilter: 'all' })).length, 0)
  })

  test('templates and ISOs are not taken for each other', async () => {
    const [vm, iso, template] = [await aMachine(), await anIso(lab), await aTemplate(lab)]
    assert.equal((await listed(lab, 'listTemplates', { templatefilter: 'all', id: iso })).length, 0)
    assert.equal((await listed(lab, 'listIsos', { isofilter: 'all', id: template })).length, 0)
    await assert.rejects(call(lab, 'attachIso', { virtualmachineid: vm, id: template }), /no ISO/)
    for (const command of ['deleteIso', 'updateIso'])
      await assert.rejects(call(lab, command, { id: template }), { code: 'unknown-id' })
    for (const command of ['deleteTemplate', 'updateTemplate'])
      await assert.rejects(call(lab, command, { id: iso }), { code: 'unknown-id' })
  })

  test('an ISO is shown by what is asked of it, and changed', async () => {
    const iso = await anIso(lab, { bootable: false, is_public: true })
    assert.equal((await listed(lab, 'listIsos', { id: iso, bootable: false })).length, 1)
    assert.equal((await listed(lab, 'listIsos', { id: iso, bootable: true })).length, 0)
    assert.equal((await listed(lab, 'listIsos', { id: iso, ispublic: false })).length, 0)
    const changed = await call(lab, 'updateIso', { id: iso, name: 'renamed', bootable: true })
    assert.deepEqual(
      [(changed['iso'] as Record<string, unknown>)['name'], (changed['iso'] as Record<string, unknown>)['bootable']],
      ['renamed', true],
    )
  })
})
