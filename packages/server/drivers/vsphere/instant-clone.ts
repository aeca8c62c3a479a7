// Instant clones: copies of a running machine that share its memory and disks. Each one of a running source puts a file on each of the
// source's disks, and 255 files is the end, which the server tells by no fault of its own: so the depth is looked at before.
import { operationKey } from './clone-spec.ts'
import { depthOf } from './devices.ts'
import { madeBefore, makeOnce } from './make-once.ts'
import { problems, telling } from './problems.ts'
import type { Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Data, Ref } from './vim25/schema.ts'
import type { TaskOptions } from './vim25/tasks.ts'

/** One of the 255 is the clone's own. */
export const deepest = 254

export interface InstantCloneRequest {
  readonly source: Ref<'VirtualMachine'>
  readonly name: string
  readonly folder: Ref
  readonly pool: Ref
  /** What the guest reads by its tools, such as its new address; each key without `guestinfo.`. */
  readonly guestInfo: Readonly<Record<string, string>>
  readonly operation: string
}

export function instantClone(
  vcenter: Vcenter,
  request: InstantCloneRequest,
  options?: TaskOptions,
): Promise<Ref<'VirtualMachine'>> {
  return telling(request.name, async () => {
    if (!vcenter.features.instantClone) throw problems.unsupported('instant clones need a vCenter 6.7 or newer')
    const made = await madeBefore(vcenter, request)
    if (made) return made
    const { source, name } = request
    const paths = ['config.hardware.device', 'runtime.instantCloneFrozen'] as const
    const { 'config.hardware.device': devices = [], 'runtime.instantCloneFrozen': frozen } = await readObject(
      vcenter.connection,
      source,
      paths,
    )
    const depth = depthOf(devices)
    if (depth >= deepest && frozen !== true) throw problems.deltaLimit(name, depth)
    return await makeOnce(vcenter, request, () =>
      vcenter.run(source, 'InstantClone_Task', { spec: specOf(request) }, options),
    )
  })
}

function specOf({
  name,
  folder,
  pool,
  guestInfo,
  operation,
}: InstantCloneRequest): Data<'VirtualMachineInstantCloneSpec'> {
  const told = Object.entries(guestInfo).map(([key, value]) => ({ key: `guestinfo.${key}`, value }))
  return { name, location: { folder, pool }, config: [{ key: operationKey, value: operation }, ...told] }
}

/** Gives a linked or instant clone disks of its own. Whether it has some is looked up: a server may stop half way. */
export function promoteDisks(vcenter: Vcenter, vm: Ref<'VirtualMachine'>, options?: TaskOptions): Promise<void> {
  return telling('The machine', async () => {
    if (!vcenter.features.clone) throw problems.unsupported('only a vCenter promotes disks')
    const depth = async () =>
      depthOf((await readObject(vcenter.connection, vm, ['config.hardware.device']))['config.hardware.device'] ?? [])
    if ((await depth()) <= 1) return
    await vcenter.run(vm, 'PromoteDisks_Task', { unlink: true, disks: [] }, options)
    if ((await depth()) > 1) throw problems.notReached('the machine stands on disks of others')
  })
}
