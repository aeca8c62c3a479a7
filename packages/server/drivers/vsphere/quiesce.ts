// Snapshots for which the guest's file systems are brought to rest first, by VMware's tools. Where that fails the snapshot is taken all the
// same, and it is told: whoever asked for it decides what a snapshot without rest is worth.
import type { Quiesced } from '../driver.ts'
import { Problem } from '@ramet/core/problem.ts'
import { type SnapshotWish, readSnapshots, takeSnapshot } from './snapshots.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'
import { isFault } from './vim25/faults.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

/** Null: nobody asked, or an earlier try took it. */
export async function takeQuietly(
  vcenter: Vcenter,
  vm: Ref<'VirtualMachine'>,
  wish: SnapshotWish,
  options: RunOptions,
): Promise<Quiesced | null> {
  const isThere = (await readSnapshots(vcenter, vm)).some(({ id }) => id === wish.id)
  if (isThere) return null
  const plain = () => takeSnapshot(vcenter, vm, { ...wish, quiesce: false }, options)
  if (!wish.quiesce || !(await runs(vcenter, vm))) return plain().then(() => null)
  if (wish.memory) return plain().then(() => 'failed') // vSphere does the one or the other
  if (!(await hasTools(vcenter, vm))) return plain().then(() => 'agent-missing')
  try {
    await takeSnapshot(vcenter, vm, wish, options)
    return 'quiesced'
  } catch (error) {
    const fault = error instanceof Problem ? error.cause : error
    if (!isFault(fault, 'FilesystemQuiesceFault', 'ApplicationQuiesceFault')) throw error
    return plain().then(() => 'failed')
  }
}

async function runs({ connection }: Vcenter, vm: Ref<'VirtualMachine'>): Promise<boolean> {
  return (await readObject(connection, vm, ['runtime.powerState']))['runtime.powerState'] === 'poweredOn'
}

async function hasTools({ connection }: Vcenter, vm: Ref<'VirtualMachine'>): Promise<boolean> {
  const found = await readObject(connection, vm, ['guest.toolsRunningStatus'])
  return found['guest.toolsRunningStatus'] === 'guestToolsRunning'
}
