// What may change about a machine while it is off, in the transaction of whoever changes it.
import type { ServiceOfferingId, VmId } from '@ramet/core/ids.ts'
import type { Sizes } from '@ramet/core/offering.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Tx } from './database.ts'
import { holdRoom } from './limits.ts'
import { setVm, type Vm } from './vms.ts'

export interface VmKey {
  readonly name: string
  readonly public_key: string
}

/** Another offering, or other sizes of a custom one; how the machine was cloned stays as it is written. */
export async function setOffering(tx: Tx, vm: Vm, offering: ServiceOfferingId, sizes: Sizes): Promise<void> {
  const { cpus, cpuMhz, memoryMib } = sizes
  const isSame = vm.cpus === cpus && vm.cpu_mhz === cpuMhz && vm.memory_mib === memoryMib
  if (isSame && vm.service_offering_id === offering)
    throw new Problem(
      'refused',
      'same-offering',
      `Virtual machine ${vm.name} has this service offering, with these sizes, already`,
    )
  await holdRoom(tx, vm.account_id, {
    cpu: Math.max(0, cpus - vm.cpus),
    memory: Math.max(0, memoryMib - vm.memory_mib),
  })
  await setVm(tx, vm.id, { service_offering_id: offering, cpus, cpu_mhz: cpuMhz, memory_mib: memoryMib })
  await tx
    .updateTable('volume')
    .set({ service_offering_id: offering })
    .where('vm_id', '=', vm.id)
    .where('type', '=', 'ROOT')
    .execute()
}

/** These keys, and no others. */
export async function setKeys(tx: Tx, vm: VmId, keys: readonly VmKey[]): Promise<void> {
  await tx.deleteFrom('vm_ssh_key_pair').where('vm_id', '=', vm).execute()
  if (keys.length === 0) return
  await tx
    .insertInto('vm_ssh_key_pair')
    .values(keys.map(({ name, public_key }) => ({ vm_id: vm, name, public_key })))
    .execute()
}
