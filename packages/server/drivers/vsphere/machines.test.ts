// Machines on vcsim with our extension, which does to the disks what VMware documents (test/vcenter/extension.go).
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type TestVcenter, aVcenter, noVcenter } from './a-vcenter.ts'
import { type Cloned, cloneMachine } from './clone-machine.ts'
import type { CloneRequest } from './clone-spec.ts'
import { cardsOf, chainOf, depthOf, disksOf, isIndependent } from './devices.ts'
import { instantClone, promoteDisks } from './instant-clone.ts'
import { Inventory } from './inventory.ts'
import { destroyMachine, moveToHost, powerOff, powerOn } from './power.ts'
import { consolidate, readSnapshots, removeAllSnapshots, removeSnapshot, revertTo, takeSnapshot } from './snapshots.ts'
import { adoptTemplate, baseName } from './templates.ts'
import { Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

type MachineRef = Ref<'VirtualMachine'>
const twice = ['first', 'again'] as const

describe('machines of a vCenter', { skip: noVcenter() }, () => {
  let server: TestVcenter
  let vcenter: Vcenter
  let inventory: Inventory
  let count = 0

  before(async () => {
    server = await aVcenter('-machines', '2', '-levels', '5')
    vcenter = await Vcenter.open(server)
    inventory = await Inventory.open(vcenter)
    await inventory.close() // what was read of it stays
  })
  after(async () => {
    await vcenter.close()
    await server.stop()
  })

  test('a full clone shares nothing, has the cards and sizes asked for, new addresses, and its own place', async () => {
    const source = await aMachine()
    const host = hosts()[2]!
    const request = await aClone(source, { kind: 'full', cpus: 2, memoryMib: 128, host })
    const made = await cloneMachine(vcenter, request)
    assert.deepEqual(
      made.disks.map(({ chain }) => chain.length),
      [1],
    )
    assert.equal(made.host, host)
    const { config } = await readObject(vcenter.connection, made.vm, ['config'])
    assert.deepEqual([config?.hardware.numCPU, config?.hardware.memoryMB], [2, 128])
    assert.equal(made.macs.length, 2)
    const theirs = cardsOf(await devicesOf(source)).map(({ macAddress }) => macAddress)
    assert.ok(made.macs.every(mac => /^00:/.test(mac) && !theirs.includes(mac)))
    assert.equal(await powerOf(made.vm), 'poweredOff')
    assert.deepEqual(await cloneMachine(vcenter, request), made)
    await removed(made.vm)
  })

  test('a linked clone stands on the snapshot, and nothing of it is on the disk that the source writes', async () => {
    const source = await aMachine()
    const base = await takeSnapshot(vcenter, source, aWish('base'))
    const { config } = await readObject(vcenter.connection, base.ref, ['config'])
    const frozen = chainOf(disksOf(config?.hardware.device)[0]!)
    const request = await aClone(source, { kind: 'linked', snapshot: base.ref })
    const [made, other] = [await cloneMachine(vcenter, request), await aLinkedClone(source, base.ref)]
    assert.deepEqual(made.disks[0]?.chain.slice(1), frozen)
    assert.deepEqual(other.disks[0]?.chain.slice(1), frozen)
    assert.notEqual(made.disks[0]?.chain[0], other.disks[0]?.chain[0])
    assert.notEqual(chainOf(disksOf(await devicesOf(source))[0]!)[0], frozen[0])
    for (const { vm } of [made, other]) await removed(vm)
    await removeAllSnapshots(vcenter, source)
  })

  test('a linked clone has a copy of a disk that snapshots leave out, and leaves out what is not wanted', async () => {
    const source = await aMachine()
    await addDisk(source, 'independent_persistent')
    await addDisk(source, 'persistent')
    const base = await takeSnapshot(vcenter, source, aWish('base'))
    const [root, apart] = disksOf(await devicesOf(source))
    assert.ok(isIndependent(apart!))
    const request = await aClone(source, { kind: 'linked', snapshot: base.ref, disks: [root!.key, apart!.key] })
    const made = await cloneMachine(vcenter, request)
    assert.deepEqual(
      made.disks.map(({ chain }) => chain.length),
      [2, 1],
    )
    await removed(made.vm)
    await removed(source)
  })

  test('a linked clone without a snapshot is refused by the server', async () => {
    const request = await aClone(await aMachine(), { kind: 'linked' })
    await assert.rejects(cloneMachine(vcenter, request), { kind: 'internal', code: 'vsphere-fault' })
  })

  test('a clone whose making nobody saw the end of is found, and made once', async () => {
    const source = await aMachine()
    for (const act of ['cut-after', 'cut-before'] as const) {
      const request = await aClone(source, { kind: 'full' })
      const earlier = (await server.calls())['CloneVM_Task'] ?? 0
      await server.trouble({ method: 'CloneVM_Task', act })
      const first = cloneMachine(vcenter, request)
      if (act === 'cut-before') await assert.rejects(first, { code: 'vsphere-outcome-unknown' })
      const made = act === 'cut-after' ? await first : await cloneMachine(vcenter, request)
      assert.equal((await server.calls())['CloneVM_Task']! - earlier, act === 'cut-after' ? 1 : 2)
      assert.equal(made.disks.length, disksOf(await devicesOf(source)).length)
      await removed(made.vm)
    }
  })

  test("a name that is somebody else's is refused, and nothing is made", async () => {
    const source = await aMachine()
    const request = await aClone(source, { kind: 'full', name: 'DC0_C0_RP0_VM0' })
    await assert.rejects(cloneMachine(vcenter, request), { kind: 'in-use', code: 'vsphere-name-taken' })
  })

  test('faults are problems that say what to do', async () => {
    const request = await aClone(await aMachine(), { kind: 'full' })
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
      await server.trouble({ method: 'CloneVM_Task', act: 'fault', fault, fields })
      await assert.rejects(cloneMachine(vcenter, request), problem, fault)
    }
  })

  test('snapshots form a tree, each is taken once, and a revert begins a branch', async () => {
    const vm = await aMachine()
    await powerOn(vcenter, vm)
    const a = await takeSnapshot(vcenter, vm, aWish('a', true))
    const b = await takeSnapshot(vcenter, vm, aWish('b'))
    assert.deepEqual([a.withMemory, b.withMemory, b.parent, b.current], [true, false, a.ref, true])
    const wish = aWish('c')
    await revertTo(vcenter, vm, b.ref, false)
    assert.equal(await powerOf(vm), 'poweredOff')
    await revertTo(vcenter, vm, a.ref, false)
    assert.equal(await powerOf(vm), 'poweredOn')
    for (const _ of twice) assert.equal((await takeSnapshot(vcenter, vm, wish)).parent, a.ref)
    await vcenter.run(vm, 'CreateSnapshot_Task', { name: 'b', memory: false, quiesce: false })
    const nodes = await readSnapshots(vcenter, vm)
    assert.deepEqual(
      nodes.map(({ name, id }) => [name, id !== null]),
      [
        ['a', true],
        ['b', true],
        ['c', true],
        ['b', false],
      ],
    )
    assert.equal(depthOf(await devicesOf(vm)), 4)
    for (const _ of twice) await removeSnapshot(vcenter, vm, nodes[2]!.ref, false)
    assert.equal(depthOf(await devicesOf(vm)), 3)
    assert.deepEqual(
      (await readSnapshots(vcenter, vm)).map(({ name, parent }) => [name, parent]),
      [
        ['a', null],
        ['b', a.ref],
        ['b', a.ref],
      ],
    )
    await removeSnapshot(vcenter, vm, a.ref, true)
    assert.deepEqual([await readSnapshots(vcenter, vm), depthOf(await devicesOf(vm))], [[], 1])
    for (const _ of twice) await removeAllSnapshots(vcenter, vm)
    await removed(vm)
  })

  test('a snapshot whose making nobody saw the end of is there once', async () => {
    const vm = await aMachine()
    await server.trouble({ method: 'CreateSnapshot_Task', act: 'cut-after' })
    await takeSnapshot(vcenter, vm, aWish('a'))
    await server.trouble({ method: 'RemoveAllSnapshots_Task', act: 'cut-after' })
    assert.equal((await readSnapshots(vcenter, vm)).length, 1)
    await removeAllSnapshots(vcenter, vm)
    assert.equal((await readSnapshots(vcenter, vm)).length, 0)
    await removed(vm)
  })

  test('snapshots end at the deepest level, with a sentence', async () => {
    const vm = await aMachine()
    for (let level = 1; level <= 5; level++) await takeSnapshot(vcenter, vm, aWish(`level-${level}`))
    await assert.rejects(takeSnapshot(vcenter, vm, aWish('one more')), {
      kind: 'refused',
      code: 'vsphere-snapshot-levels',
    })
    await removeAllSnapshots(vcenter, vm)
    assert.equal(depthOf(await devicesOf(vm)), 1)
    await removed(vm)
  })

  test('disks that were left unmerged are consolidated when the server says so', async () => {
    const vm = await aMachine()
    await takeSnapshot(vcenter, vm, aWish('a'))
    await vcenter.run(vm, 'RemoveAllSnapshots_Task', { consolidate: false })
    assert.equal(depthOf(await devicesOf(vm)), 2)
    assert.equal(await consolidate(vcenter, vm), true)
    assert.equal(depthOf(await devicesOf(vm)), 1)
    assert.equal(await consolidate(vcenter, vm), false)
    await removed(vm)
  })

  test('a clone of a snapshot has the disks and sizes of that time', async () => {
    const vm = await aMachine()
    const then = await takeSnapshot(vcenter, vm, aWish('then'))
    await addDisk(vm, 'persistent')
    await vcenter.run(vm, 'ReconfigVM_Task', { spec: { memoryMB: 512 } })
    const { config } = await readObject(vcenter.connection, then.ref, ['config'])
    const made = await cloneMachine(vcenter, await aClone(vm, { kind: 'full', snapshot: then.ref }))
    const { config: now } = await readObject(vcenter.connection, made.vm, ['config'])
    assert.equal(now?.hardware.memoryMB, config?.hardware.memoryMB)
    assert.deepEqual(
      made.disks.map(({ chain }) => chain.length),
      [1],
    )
    for (const each of [made.vm, vm]) await removed(each)
  })

  test('a machine and a template become templates with one base snapshot', async () => {
    const vm = await aMachine()
    const { pool, host } = await aClone(vm, { kind: 'full' })
    const base = await adoptTemplate(vcenter, vm, 'seed-1', { pool, host })
    assert.deepEqual(await adoptTemplate(vcenter, vm, 'seed-1', { pool, host }), base)
    assert.equal(base.name, baseName)
    assert.equal((await readObject(vcenter.connection, vm, ['config.template']))['config.template'], true)
    const made = await aLinkedClone(vm, base.ref)
    for (const each of [made.vm, vm]) await removed(each)
  })

  test('a linked clone is promoted to disks of its own', async () => {
    const source = await aMachine()
    const base = await takeSnapshot(vcenter, source, aWish('base'))
    const { vm } = await aLinkedClone(source, base.ref)
    for (const _ of twice) await promoteDisks(vcenter, vm)
    assert.equal(depthOf(await devicesOf(vm)), 1)
    for (const each of [vm, source]) await removed(each)
  })

  test('an instant clone runs, is told what it asked for, is made once, and deepens its source', async () => {
    const source = await aMachine()
    const { folder, pool } = await aClone(source, { kind: 'full' })
    const request = {
      source,
      name: `instant-${++count}`,
      folder,
      pool,
      guestInfo: { ip: '192.0.2.7' },
      operation: `o-${count}`,
    }
    await assert.rejects(instantClone(vcenter, request), { kind: 'refused', code: 'vsphere-wrong-state' })
    await powerOn(vcenter, source)
    const made = await instantClone(vcenter, request)
    assert.equal(await instantClone(vcenter, request), made)
    assert.equal(await powerOf(made), 'poweredOn')
    const { config } = await readObject(vcenter.connection, made, ['config'])
    assert.equal(config?.extraConfig?.find(({ key }) => key === 'guestinfo.ip')?.value, '192.0.2.7')
    assert.deepEqual([depthOf(await devicesOf(source)), depthOf(await devicesOf(made))], [2, 2])
    for (const each of [made, source]) await removed(each)
  })

  test('a machine moves to a host, and back, and stays', async () => {
    const vm = await aMachine()
    await powerOn(vcenter, vm)
    for (const host of [hosts()[1]!, hosts()[1]!, hosts()[0]!]) {
      await moveToHost(vcenter, vm, host)
      assert.equal((await readObject(vcenter.connection, vm, ['runtime.host']))['runtime.host'], host)
    }
    await assert.rejects(destroyMachine(vcenter, vm), { kind: 'refused', code: 'vsphere-wrong-state' })
    await removed(vm)
  })

  /** A machine of its own for each test, off. */
  async function aMachine(): Promise<MachineRef> {
    const [source] = [...inventory.all('VirtualMachine')].find(([, { name }]) => name === 'DC0_C0_RP0_VM0')!
    return (await cloneMachine(vcenter, await aClone(source, { kind: 'full' }))).vm
  }

  async function aLinkedClone(source: MachineRef, snapshot: Ref<'VirtualMachineSnapshot'>): Promise<Cloned> {
    return await cloneMachine(vcenter, await aClone(source, { kind: 'linked', snapshot }))
  }

  async function aClone(
    source: MachineRef,
    change: Partial<CloneRequest> & { kind: CloneRequest['kind'] },
  ): Promise<CloneRequest> {
    const { parent } = await readObject(vcenter.connection, source, ['parent'])
    const [cluster] = inventory.all('ClusterComputeResource').values()
    const [[datastore]] = [...inventory.all('Datastore').keys()].map(ref => [ref] as const) as [[Ref]]
    const [network] = [...inventory.all('Network')]
    const [group] = [...inventory.all('DistributedVirtualPortgroup').values()].filter(
      ({ name }) => name === 'DC0_DVPG0',
    )
    const vswitch = group!['config.distributedVirtualSwitch'] as Ref<'VmwareDistributedVirtualSwitch'>
    const { uuid } = await readObject(vcenter.connection, vswitch, ['uuid'])
    count++
    return {
      source,
      snapshot: null,
      name: `clone-${count}`,
      folder: parent!,
      datastore,
      pool: cluster!.resourcePool!,
      host: hosts()[0]!,
      plugs: [
        { network: network![0], name: network![1].name! },
        { switchUuid: uuid!, portgroupKey: group!.key! },
      ],
      operation: `operation-${count}`,
      ...change,
    }
  }

  function hosts(): Ref<'HostSystem'>[] {
    return [...inventory.all('HostSystem').keys()].toSorted()
  }

  async function addDisk(vm: MachineRef, diskMode: string): Promise<void> {
    const disks = disksOf(await devicesOf(vm))
    const backing = { is: 'VirtualDiskFlatVer2BackingInfo', fileName: '', diskMode } as const
    const disk = {
      is: 'VirtualDisk',
      key: -1,
      backing,
      controllerKey: disks[0]!.controllerKey,
      unitNumber: disks.length,
      capacityInKB: 1024,
    } as const
    const deviceChange = [{ operation: 'add', fileOperation: 'create', device: disk }]
    await vcenter.run(vm, 'ReconfigVM_Task', { spec: { deviceChange } })
  }

  async function devicesOf(vm: MachineRef) {
    return (await readObject(vcenter.connection, vm, ['config.hardware.device']))['config.hardware.device'] ?? []
  }

  async function powerOf(vm: MachineRef) {
    return (await readObject(vcenter.connection, vm, ['runtime.powerState']))['runtime.powerState']
  }

  async function removed(vm: MachineRef): Promise<void> {
    await powerOff(vcenter, vm)
    for (const _ of twice) await destroyMachine(vcenter, vm)
  }
})

function aWish(name: string, memory = false) {
  return { id: globalThis.crypto.randomUUID(), name, memory, quiesce: false }
}
