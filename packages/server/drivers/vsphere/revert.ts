// Reverts, each done once: what the guest wrote since a revert would be lost by another. A revert brings back the configuration that the
// machine had at the snapshot. So our name for the act is written into the machine, where the revert wipes it out, and then into the
// snapshot's description, where it stays: in the description and not in the machine, it was done.
import { tasksEnd } from './make-once.ts'
import { telling } from './problems.ts'
import { settled } from './settled.ts'
import { type SnapshotNode, describeSnapshot, readSnapshots, unlessUnknown } from './snapshots.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

type MachineRef = Ref<'VirtualMachine'>

export const revertKey = 'ramet.revert'

/** Brings the machine back to a snapshot: running where that has memory, unless `off`. */
export function revertOnce(
  vcenter: Vcenter,
  vm: MachineRef,
  snapshot: SnapshotNode,
  off: boolean,
  operation: string,
  options?: RunOptions,
): Promise<void> {
  return telling('The VM snapshot', async () => {
    const isDone = async () => (await begunIn(vcenter, vm)) !== operation
    if (snapshot.revert === operation) await tasksEnd(vcenter, vm)
    else await begin(vcenter, vm, snapshot, operation)
    if (await isDone()) return
    const revert = () => vcenter.run(snapshot.ref, 'RevertToSnapshot_Task', { suppressPowerOn: off }, options)
    await unlessUnknown(vcenter, vm, revert, isDone)
    const isCurrent = (nodes: readonly SnapshotNode[]) => nodes.some(each => each.ref === snapshot.ref && each.current)
    await settled(() => readSnapshots(vcenter, vm), isCurrent, 'the machine stands on another snapshot')
  })
}

/** First into the machine: with the description alone, it would look as if it were done. */
async function begin(vcenter: Vcenter, vm: MachineRef, { ref, id }: SnapshotNode, operation: string): Promise<void> {
  const extraConfig = [{ key: revertKey, value: operation }]
  await vcenter.run(vm, 'ReconfigVM_Task', { spec: { extraConfig } })
  await settled(
    () => begunIn(vcenter, vm),
    begun => begun === operation,
    'the machine is without our mark',
  )
  await describeSnapshot(vcenter, ref, id, operation)
}

async function begunIn({ connection }: Vcenter, vm: MachineRef): Promise<unknown> {
  const { 'config.extraConfig': extra = [] } = await readObject(connection, vm, ['config.extraConfig'])
  return extra.find(({ key }) => key === revertKey)?.value
}
