// Clones a machine, once: a repeat finds what the first try made, by name and operation. A clone is never switched on before its cards
// were looked at: servers have been seen to drop changes of a clone's devices without a word.
import { type CloneRequest, cloneSpec } from './clone-spec.ts'
import { type Device, cardsOf, chainOf, disksOf, isShared, replaceCards } from './devices.ts'
import { madeBefore, makeOnce } from './make-once.ts'
import { problems, telling } from './problems.ts'
import { settled } from './settled.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

export interface Cloned {
  readonly vm: Ref<'VirtualMachine'>
  readonly host: Ref
  readonly disks: readonly { readonly key: number; readonly chain: readonly string[]; readonly capacityKib: number }[]
  readonly macs: readonly string[]
}

export function cloneMachine(vcenter: Vcenter, request: CloneRequest, options?: RunOptions): Promise<Cloned> {
  return telling(request.name, async () => {
    if (!vcenter.features.clone) throw problems.unsupported('only a vCenter clones machines, and this is an ESXi')
    const vm = (await madeBefore(vcenter, request)) ?? (await make(vcenter, request, options))
    return await check(vcenter, vm, request)
  })
}

async function make(vcenter: Vcenter, request: CloneRequest, options?: RunOptions): Promise<Ref<'VirtualMachine'>> {
  const { source, folder, name } = request
  const spec = cloneSpec(request, request.devices ?? (await devicesOf(vcenter, request)))
  const run = () => vcenter.run(source, 'CloneVM_Task', { folder, name, spec }, options)
  return await makeOnce(vcenter, request, run)
}

async function devicesOf({ connection }: Vcenter, { source, snapshot }: CloneRequest): Promise<readonly Device[]> {
  if (snapshot === null) {
    const { 'config.hardware.device': devices } = await readObject(connection, source, ['config.hardware.device'])
    return devices ?? []
  }
  const { config } = await readObject(connection, snapshot, ['config'])
  return config?.hardware.device ?? []
}

async function check(vcenter: Vcenter, vm: Ref<'VirtualMachine'>, request: CloneRequest): Promise<Cloned> {
  const read = () => readObject(vcenter.connection, vm, ['config.hardware.device', 'runtime.host'])
  const first = await settled(
    read,
    each => each['config.hardware.device'] !== undefined,
    `${request.name} has no devices`,
  )
  const hasItsCards = (each: typeof first) => cardsOf(each['config.hardware.device']).length === request.plugs.length
  if (!hasItsCards(first)) await repairCards(vcenter, vm, request, first['config.hardware.device'] ?? [])
  const { 'config.hardware.device': devices = [], 'runtime.host': host } = hasItsCards(first)
    ? first
    : await settled(read, hasItsCards, `${request.name} has other network cards than were asked for`)
  const disks = disksOf(devices).map(disk => ({ key: disk.key, chain: chainOf(disk), capacityKib: disk.capacityInKB }))
  checkDisks(request, disks)
  return { vm, host: host ?? request.host, disks, macs: cardsOf(devices).map(({ macAddress }) => macAddress ?? '') }
}

async function repairCards(
  vcenter: Vcenter,
  vm: Ref,
  { plugs }: CloneRequest,
  devices: readonly Device[],
): Promise<void> {
  await vcenter.run(vm, 'ReconfigVM_Task', { spec: { deviceChange: replaceCards(devices, plugs) } })
}

/** A full clone stands on nothing; in a linked one at least the root disk stands on the source's. */
function checkDisks({ kind, name, disks: wanted }: CloneRequest, disks: Cloned['disks']): void {
  if (wanted && disks.length !== wanted.length) throw problems.notReached(`${name} has ${disks.length} disks`)
  const shared = disks.filter(({ chain }) => isShared(chain)).length
  if (kind === 'full' && shared > 0) throw problems.notReached(`${name} shares a disk with its source`)
  if (kind === 'linked' && shared === 0) throw problems.notReached(`${name} shares no disk with its source`)
}
