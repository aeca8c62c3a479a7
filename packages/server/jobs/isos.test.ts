// ISOs in the drives of machines: what their records say, what their drives hold, and what keeps an ISO from being deleted.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { TemplateId, VmId } from '@ramet/core/ids.ts'
import type { Answer } from '../api/command.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
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

  describe('a machine deployed from an ISO', () => {
    const deployment = async (set: Given = {}) => {
      const [zone] = await listed(lab, 'listZones')
      const [offering] = await listed(lab, 'listServiceOfferings', { name: 'Tiny Instance' })
      const [disk] = await listed(lab, 'listDiskOfferings', { name: 'Small' })
      const ids = { zoneid: String(zone?.['id']), serviceofferingid: String(offering?.['id']) }
      return { ...ids, diskofferingid: String(disk?.['id']), templateid: await anIso(lab), ...set }
    }

    test('has an empty disk of the offering, and the ISO in its drive', async () => {
      const given = await deployment()
      const done = (await callJob(lab, 'deployVirtualMachine', given))['virtualmachine'] as Answer
      const vm = String(done['id']) as VmId
      assert.deepEqual([done['state'], done['isoid'], inDrive(vm)], ['Running', given.templateid, given.templateid])
      const volumes = await listed(lab, 'listVolumes', { virtualmachineid: vm })
      assert.deepEqual(
        volumes.map(each => [each['type'], each['size']]),
        [['ROOT', 5 * 2 ** 30]],
      )
      assert.equal(lab.world.layers.get(String(volumes[0]?.['path']) as never)?.base, null)
      assert.equal((await callJob(lab, 'deleteIso', { id: given.templateid }))['errorcode'], 536)
    })

    test('is refused without a size, from an ISO that does not boot, as a linked clone, and from another zone', async () => {
      const { diskofferingid: _, ...sizeless } = await deployment()
      const elsewhere = { dns1: '192.0.2.1', internaldns1: '192.0.2.1', networktype: 'Advanced', name: 'zone9' }
      const far = (await call(lab, 'createZone', elsewhere))['zone'] as Answer
      const refusals: [Given, RegExp][] = [
        [sizeless, /diskofferingid is needed/],
        [await deployment({ rootdisksize: 9 }), /rootdisksize is for templates/],
        [await deployment({ clonetype: 'linked' }), /clonetype linked/],
        [await deployment({ templateid: await anIso(lab, { bootable: false }) }), /not bootable/],
        [await deployment({ zoneid: String(far['id']) }), /templateid names .* another zone/],
      ]
      for (const [given, message] of refusals) await assert.rejects(call(lab, 'deployVirtualMachine', given), message)
    })
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
