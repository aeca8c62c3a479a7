// The contract, on vcsim with our extension: clones that share disks, reverts and merges are the extension's (docs/hypervisors/vsphere.md).
import { newId } from '@ramet/core/ids.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { type ForestUnderTest, forestContract } from '../contract-forest.ts'
import { testMachines } from './a-machine.ts'
import { noVcenter } from './a-vcenter.ts'
import { vsphereDriver } from './driver.ts'
import type { MachineRef } from './ours.ts'

forestContract('vSphere', onVcsim, { skip: noVcenter() })

async function onVcsim(): Promise<ForestUnderTest> {
  const lab = await testMachines()
  const { server, vcenter } = lab
  const driver = await vsphereDriver({ ...server, cluster: 'DC0/DC0_C0' })
  const inventory = await driver.forest.inventory()
  const hosts = inventory.hosts.map(({ name }) => ({ id: newId<'host'>(), name }))
  for (const each of hosts) await driver.hosts.facts(each)
  const { searchIndex } = vcenter.connection.content
  const find = async (uuid: VmId) =>
    (await vcenter.call(searchIndex!, 'FindByUuid', { uuid, vmSearch: true, instanceUuid: true })) as MachineRef
  return {
    driver,
    hosts: [hosts[0]!, ...hosts.slice(1)],
    pool: { id: newId(), path: inventory.pools[0]!.path },
    network: 'DC0_DVPG0',
    async aForeignMachine() {
      const vm = await lab.aMachine()
      await lab.addDisk(vm, 'persistent')
      return vm.slice('VirtualMachine:'.length)
    },
    async foreignSnapshot(vm, name) {
      await vcenter.run(await find(vm), 'CreateSnapshot_Task', { name, memory: false, quiesce: false })
    },
    async switchPower(vm, power) {
      await vcenter.run(await find(vm), power === 'on' ? 'PowerOnVM_Task' : 'PowerOffVM_Task', {})
    },
    async dispose() {
      await driver.close()
      await lab.close()
    },
  }
}
