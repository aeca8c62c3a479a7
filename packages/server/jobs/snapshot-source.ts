// A VM snapshot as what a machine is made from. Its root disk is on one pool, and so is the machine's. A full clone, and in mode `seed`
// a linked one too, is made from the snapshot's seed (seed-on-pool.ts); in mode `direct` a linked clone stands right on the
// snapshot's own layer. After the deployment nothing leads from the machine to the snapshot but layers, as between any two clones.
import type { CloneType } from '@ramet/core/clone-type.ts'
import type { AccountId, LayerId, StoragePoolId, VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { mostLayers } from '@ramet/core/layer.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { DeployMode } from '@ramet/core/vm-snapshot.ts'
import type { Db, Tx } from '../store/database.ts'
import { mergeUnder } from '../store/layer-removal.ts'
import { chainBytes, layerChain } from '../store/layers.ts'
import { memoryRefIfAny } from '../store/memory-images.ts'
import { type LayeredRoot, rootOfSnapshot, seedOf } from '../store/vm-snapshot-seeds.ts'
import { vmSnapshotById } from '../store/vm-snapshots.ts'
import { vmById } from '../store/vms.ts'
import { type StepContext, WaitForJob } from './define-job.ts'
import type { PoolCopy } from './disk-demand.ts'

export interface SnapshotSource {
  readonly snapshot: VmSnapshotId
  /** Whose snapshot it is. */
  readonly vm: VmId
  readonly pool: StoragePoolId
  readonly mode: DeployMode
}

/** What the root disk stands on or is copied from; a seed that is not there yet takes room too. */
export async function baseOfSnapshot(
  tx: Tx,
  { snapshot, pool, mode }: SnapshotSource,
  cloneType: CloneType,
): Promise<PoolCopy> {
  const root = await rootOfSnapshot(tx, snapshot)
  if (!root) throw new Problem('refused', 'vm-snapshot-deleted', `VM snapshot ${snapshot} has been deleted meanwhile`)
  const bytes = Math.min(await chainBytes(tx, root.layer), root.bytes)
  if (mode === 'direct' && cloneType === 'linked') return { pool, layer: root.layer, bytes }
  const seed = await seedOf(tx, snapshot, pool)
  return { pool, layer: seed?.isReady ? seed.layer : null, bytes }
}

/** Throws where no linked clone of `account` can stand right on the snapshot's disk. */
export async function demandDirect(db: Db, root: LayeredRoot, account: AccountId): Promise<void> {
  const way = 'Make a full clone (clonetype=full), or set vmsnapshot.deploy.mode=seed'
  if (root.account !== account)
    throw new Problem(
      'refused',
      'direct-of-other-account',
      `VM snapshot ${root.snapshotName} is another account's, and a machine cannot stand on the disks of another account. ${way}`,
    )
  const { length } = await layerChain(db, root.layer)
  if (length + 1 > mostLayers)
    throw new Problem(
      'refused',
      'chain-too-long',
      `The root disk of VM snapshot ${root.snapshotName} has ${length} layers, and a machine right on it (vmsnapshot.deploy.mode=direct) may have ${mostLayers} in all. ${way}`,
    )
}

/** A merge into a layer that others read would change it under their eyes; none begins once the new disk is written down. */
export async function untilNothingMerges(tx: Tx, base: LayerId): Promise<void> {
  const job = await mergeUnder(tx, base)
  if (job) throw new WaitForJob(job)
}

/** Throws unless the machine has as many CPUs as that of the snapshot had, by what the hypervisor knows of it. */
export async function demandConfig<I extends { readonly vm: VmId }>(
  { db, driver, input }: StepContext<I, object>,
  source: SnapshotSource,
): Promise<void> {
  const [vm, snapshot] = await Promise.all([vmById(db, input.vm), vmSnapshotById(db, source.snapshot)])
  if (!vm || !snapshot) throw new Error(`there is no machine ${input.vm} or no VM snapshot ${source.snapshot}`)
  const { cpus } = await driver.machines.getVmSnapshotConfigs({
    id: snapshot.id,
    vm: snapshot.vm_id,
    recorded: { cpus: snapshot.cpus, memoryMib: snapshot.memory_mib },
    memory: snapshot.memory_image_id ? ((await memoryRefIfAny(db, snapshot.memory_image_id)) ?? null) : null,
  })
  if (cpus !== vm.cpus)
    throw new Problem('invalid', 'other-cpus', `The machine ${otherCpus(snapshot.display_name, cpus, vm.cpus)}`)
}

/** The sentence without its subject: the machine, or the parameter at fault. */
export function otherCpus(snapshot: string, had: number, asked: number): string {
  return `asks for ${asked} CPUs; the machine had ${had} when VM snapshot ${snapshot} was taken, and one made from it has as many`
}
