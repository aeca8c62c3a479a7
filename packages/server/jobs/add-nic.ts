// Gives a machine another NIC: to one that runs by hot-plug, to one that is stopped for its next start. Its address is its own from the
// first step on.
import type { NetworkId, NicId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { MachineFacts } from '../drivers/driver.ts'
import { networkById } from '../store/networks.ts'
import { forgetNic, insertNic } from '../store/nics.ts'
import { demandAction, holdVm, nicsOf, type Vm, vmById, vmLock } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { cardOf } from './forest-machine.ts'
import { nicOf } from './machine-spec.ts'
import { notePorts } from './vm-steps.ts'

export interface AddNic {
  readonly vm: VmId
  readonly network: NetworkId
  /** Chosen when absent. */
  readonly ipAddress?: string | undefined
  readonly mac?: string | undefined
}

export const addNic = defineJob<AddNic>({
  kind: 'add-nic',
  event: 'NIC.CREATE',
  doing: 'adding NIC to virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('begin', {
    do: begin,
    undo: async ({ tx, made }) => forgetNic(tx, (made as Made).begin),
  })
  .act('plug', {
    do: async context => plugIn(context, context.made.begin),
    undo: async context => pullOut(context, context.made.begin),
  })
  .record('publish', {
    do: async ({ tx, made }) => notePorts(tx, made.plug),
    undo: nothing('nothing follows it'),
  })

type Made = { readonly begin: NicId }

async function begin({ tx, input, driver }: RecordContext<AddNic, object>): Promise<NicId> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'change of its NICs')
  await demandNoVmSnapshots(tx, vm.id, 'adding a NIC')
  const network = await networkById(tx, input.network)
  if (!network) throw new Problem('invalid', 'unknown-network', `There is no network ${input.network}`)
  const nics = await nicsOf(tx, vm.id)
  if (nics.some(nic => nic.network_id === network.id))
    throw new Problem('refused', 'nic-in-network', `Virtual machine ${vm.name} has a NIC in network ${network.name}`)
  const place = freePlace(vm, new Set(nics.map(nic => nic.device_id)), driver.capabilities.mostNics)
  const { ipAddress, mac } = input
  const nic = await insertNic(tx, vm, { network, ipAddress, mac, place, isDefault: nics.length === 0 })
  return nic.id
}

export function freePlace({ name }: Vm, taken: ReadonlySet<number>, most: number): number {
  for (let place = 0; place < most; place += 1) if (!taken.has(place)) return place
  throw new Problem('refused', 'nics-full', `Virtual machine ${name} has ${taken.size} NICs, and can have no more`)
}

type Plugging = StepContext<{ readonly vm: VmId }, object>

/** Leaves a machine that is off alone, but where the hypervisor keeps its description. */
export async function plugIn(
  { db, driver, settings, input }: Plugging,
  nic: NicId,
): Promise<Pick<MachineFacts, 'sshPorts'>> {
  if (driver.forest) {
    await driver.forest.devices.plug(input.vm, await cardOf(db, input.vm, nic))
    return { sshPorts: {} }
  }
  const [vm, card] = await Promise.all([
    vmById(db, input.vm),
    nicOf(db, input.vm, nic, settings.flag('guest.network.outward')),
  ])
  return driver.machines.attachNic(input.vm, card, vm?.name ?? input.vm)
}

export async function pullOut({ db, driver, settings, input, signal }: Plugging, nic: NicId): Promise<void> {
  if (driver.forest) return driver.forest.devices.unplug(input.vm, await cardOf(db, input.vm, nic))
  const card = await nicOf(db, input.vm, nic, settings.flag('guest.network.outward'))
  await driver.machines.detachNic(input.vm, card, signal)
}
