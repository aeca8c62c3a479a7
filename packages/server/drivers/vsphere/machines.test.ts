// What vcsim can do by itself, on vcsim as it is.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type TestMachines, aWish, testMachines } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { cloneMachine } from './clone-machine.ts'
import { cardsOf, disksOf } from './devices.ts'
import { destroyMachine, moveToHost, powerOn } from './power.ts'
import { readSnapshots, removeAllSnapshots, takeSnapshot } from './snapshots.ts'
import { adoptTemplate, baseName } from './templates.ts'
import { readObject } from './vim25/properties.ts'

describe('machines of a vCenter', { skip: noVcenter() }, () => {
  let lab: TestMachines
  before(async () => (lab = await testMachines('-plain')))
  after(() => lab.close())

  test('a full clone shares nothing, has the cards and sizes asked for, new addresses, and its own place', async () => {
    const source = await lab.aMachine()
    const host = lab.hosts[2]!
    const request = lab.aClone(source, { kind: 'full', cpus: 2, memoryMib: 128, host })
    const made = await cloneMachine(lab.vcenter, request)
    assert.deepEqual(
      made.disks.map(({ chain }) => chain.length),
      [1],
    )
    assert.equal(made.host, host)
    const { config } = await readObject(lab.vcenter.connection, made.vm, ['config'])
    assert.deepEqual([config?.hardware.numCPU, config?.hardware.memoryMB], [2, 128])
    assert.equal(made.macs.length, 2)
    const theirs = cardsOf(await lab.devicesOf(source)).map(({ macAddress }) => macAddress)
    assert.ok(made.macs.every(mac => /^00:/.test(mac) && !theirs.includes(mac)))
    assert.equal(await lab.powerOf(made.vm), 'poweredOff')
    assert.deepEqual(await cloneMachine(lab.vcenter, request), made)
    await lab.removed(made.vm)
  })

  test('a clone whose making nobody saw the end of is found, and made once', async () => {
    const source = await lab.aMachine()
    for (const act of ['cut-after', 'cut-before'] as const) {
      const request = lab.aClone(source, { kind: 'full' })
      const earlier = (await lab.server.calls())['CloneVM_Task'] ?? 0
      await lab.server.trouble({ method: 'CloneVM_Task', act })
      const first = cloneMachine(lab.vcenter, request)
      if (act === 'cut-before') await assert.rejects(first, { code: 'vsphere-outcome-unknown' })
      const made = act === 'cut-after' ? await first : await cloneMachine(lab.vcenter, request)
      assert.equal((await lab.server.calls())['CloneVM_Task']! - earlier, act === 'cut-after' ? 1 : 2)
      assert.equal(made.disks.length, disksOf(await lab.devicesOf(source)).length)
      await lab.removed(made.vm)
    }
  })

  test("a name that is somebody else's is refused, and nothing is made", async () => {
    const source = await lab.aMachine()
    const request = lab.aClone(source, { kind: 'full', name: lab.firstName })
    await assert.rejects(cloneMachine(lab.vcenter, request), { kind: 'in-use', code: 'vsphere-name-taken' })
  })

  test('faults are problems that say what to do', async () => {
    const request = lab.aClone(await lab.aMachine(), { kind: 'full' })
    const cases: [fault: string, fields: object, problem: { kind: string; code: string; message?: RegExp }][] = [
      [
        'NoPermission',
        { PrivilegeId: 'VirtualMachine.Provisioning.Clone' },
        { kind: 'refused', code: 'vsphere-forbidden', message: /Provisioning\.Clone/ },
      ],
      [
        'NoDiskSpace',
        { Datastore: 'LocalDS_0', File: 'x' },
        { kind: 'no-capacity', code: 'vsphere-datastore-full', message: /LocalDS_0/ },
      ],
      ['TaskInProgress', {}, { kind: 'busy', code: 'vsphere-busy' }],
      ['InvalidHostState', {}, { kind: 'refused', code: 'vsphere-wrong-state' }],
      ['FileLocked', { File: '[LocalDS_0] a.vmdk' }, { kind: 'busy', code: 'vsphere-file-locked', message: /a\.vmdk/ }],
      ['InsufficientResourcesFault', {}, { kind: 'no-capacity', code: 'vsphere-no-resources' }],
      ['NotSupported', {}, { kind: 'unsupported', code: 'vsphere-unsupported' }],
    ]
    for (const [fault, fields, problem] of cases) {
      await lab.server.trouble({ method: 'CloneVM_Task', act: 'fault', fault, fields })
      await assert.rejects(cloneMachine(lab.vcenter, request), problem, fault)
    }
  })

  test('a snapshot whose making nobody saw the end of is there once', async () => {
    const vm = await lab.aMachine()
    await lab.server.trouble({ method: 'CreateSnapshot_Task', act: 'cut-after' })
    await takeSnapshot(lab.vcenter, vm, aWish('a'))
    await lab.server.trouble({ method: 'RemoveAllSnapshots_Task', act: 'cut-after' })
    assert.equal((await readSnapshots(lab.vcenter, vm)).length, 1)
    await removeAllSnapshots(lab.vcenter, vm)
    assert.equal((await readSnapshots(lab.vcenter, vm)).length, 0)
    await lab.removed(vm)
  })

  test('a machine and a template become templates with one base snapshot', async () => {
    const vm = await lab.aMachine()
    const { pool, host } = lab.aClone(vm, { kind: 'full' })
    const base = await adoptTemplate(lab.vcenter, vm, 'seed-1', { pool, host })
    assert.deepEqual(await adoptTemplate(lab.vcenter, vm, 'seed-1', { pool, host }), base)
    assert.equal(base.name, baseName)
    assert.equal((await readObject(lab.vcenter.connection, vm, ['config.template']))['config.template'], true)
    await lab.removed(vm)
  })

  test('a machine moves to a host, and back, and stays', async () => {
    const vm = await lab.aMachine()
    await powerOn(lab.vcenter, vm)
    for (const host of [lab.hosts[1]!, lab.hosts[1]!, lab.hosts[0]!]) {
      await moveToHost(lab.vcenter, vm, host)
      assert.equal((await readObject(lab.vcenter.connection, vm, ['runtime.host']))['runtime.host'], host)
    }
    await assert.rejects(destroyMachine(lab.vcenter, vm), { kind: 'refused', code: 'vsphere-wrong-state' })
    await lab.removed(vm)
  })
})
