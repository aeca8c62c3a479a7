import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../../testing/eventually.ts'
import { type TestVcenter, aVcenter, noVcenter } from './a-vcenter.ts'
import { type Change, Inventory } from './inventory.ts'
import { powerOff } from './power.ts'
import { Vcenter } from './vcenter.ts'

describe('the inventory of a vCenter', { skip: noVcenter() }, () => {
  let server: TestVcenter
  let vcenter: Vcenter
  let inventory: Inventory

  before(async () => {
    server = await aVcenter('-plain', '-machines', '20')
    vcenter = await Vcenter.open(server)
    inventory = await Inventory.open(vcenter, 7)
  })
  after(async () => {
    await inventory.close()
    await vcenter.close()
    await server.stop()
  })

  test('is there whole, in parts', async () => {
    assert.ok((await server.calls())['WaitForUpdatesEx']! > 4)
    assert.equal(inventory.all('VirtualMachine').size, 20)
    assert.equal(inventory.all('HostSystem').size, 3)
    const [host] = inventory.all('HostSystem').values()
    const cluster = inventory.get(host?.parent as `ClusterComputeResource:${string}`)
    assert.equal(cluster?.name, 'DC0_C0')
    assert.ok(host?.['runtime.connectionState'] === 'connected' && host['summary.hardware.numCpuThreads']! > 0)
    const [datastore] = inventory.all('Datastore').values()
    assert.ok(datastore?.['summary.accessible'] === true && datastore['summary.freeSpace']! > 0)
    const [machine] = inventory.all('VirtualMachine').values()
    assert.ok(inventory.get(machine!['runtime.host'] as `HostSystem:${string}`))
    assert.ok([...inventory.all('DistributedVirtualPortgroup').values()].some(({ name }) => name === 'DC0_DVPG0'))
  })

  test('what changes is pushed, and nothing is asked for', async () => {
    const [vm] = [...inventory.all('VirtualMachine').keys()]
    const seen: Change[] = []
    const stop = inventory.onChange(changes => seen.push(...changes))
    const reads = (await server.calls())['RetrievePropertiesEx']
    await vcenter.run(vm!, 'PowerOffVM_Task', {})
    await vcenter.run(vm!, 'CreateSnapshot_Task', { name: 's', memory: false, quiesce: false })
    await eventually('the changes', async () => {
      const now = inventory.get(vm!)
      return now?.['runtime.powerState'] === 'poweredOff' && now.snapshot?.rootSnapshotList?.[0]?.name === 's'
    })
    assert.ok(seen.some(({ ref, change }) => ref === vm && change === 'changed'))
    assert.equal((await server.calls())['RetrievePropertiesEx'], reads)
    stop()
  })

  test('what came and went while the session was away is told', async () => {
    const [vm, other] = [...inventory.all('VirtualMachine').keys()]
    const name = inventory.get(other!)?.name
    await powerOff(vcenter, vm!)
    await server.endSessions()
    await vcenter.run(vm!, 'Destroy_Task', {})
    await eventually('the end of the machine', async () => inventory.get(vm!) === undefined)
    assert.equal(inventory.all('VirtualMachine').size, 19)
    assert.equal(inventory.get(other!)?.name, name)
  })

  test('a server that was started anew is followed again, and what it lost is gone', async () => {
    await server.restart('-plain', '-machines', '2')
    await eventually('the new inventory', async () => inventory.all('VirtualMachine').size === 2)
    const [vm] = [...inventory.all('VirtualMachine').keys()]
    await powerOff(vcenter, vm!)
    await eventually('the change', async () => inventory.get(vm!)?.['runtime.powerState'] === 'poweredOff')
  })
})
