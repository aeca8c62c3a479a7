// Makes a seed: a flat copy of a VM snapshot's root disk, on the same storage. Linked clones stand on it and full clones are copied
// from it, so that many machines can be made at once, their chains stay short, and the snapshot may go without them. It has the lock
// of the snapshot's machine: nobody merges, moves or removes what it reads.
import type { LayerId, StoragePoolId, VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { LayerFacts } from '../drivers/driver.ts'
import { setPoolSpace } from '../store/capacity.ts'
import { recordEvent } from '../store/events.ts'
import { chainBytes, forgetLayer, layerChain, layerRef, publishLayer, reserveLayer } from '../store/layers.ts'
import { demandPoolTakesDisks } from '../store/pools.ts'
import { demandDeployable, forgetSeed, insertSeed, publishSeed, rootOfSnapshot } from '../store/vm-snapshot-seeds.ts'
import { holdRoomOn } from '../store/volume-pools.ts'
import { vmLock } from '../store/vms.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { layerMade } from './layer-events.ts'
import { placementFactors } from './vm-steps.ts'

export interface SeedVmSnapshot {
  readonly vm: VmId
  readonly snapshot: VmSnapshotId
  readonly pool: StoragePoolId
  /** The layer to be made. */
  readonly layer: LayerId
}

export const seedVmSnapshot = defineJob<SeedVmSnapshot>({
  kind: 'seed-vm-snapshot',
  event: 'VMSNAPSHOT.SEED',
  doing: 'seeding VM snapshot',
  instanceType: 'VmSnapshot',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.snapshot,
})
  .record('reserve', {
    do: reserve,
    undo: async ({ tx, input }) => {
      await forgetSeed(tx, input.layer)
      await forgetLayer(tx, input.layer)
    },
  })
  .act('copy', {
    do: copy,
    undo: async ({ db, driver, input }) => driver.layers.discard(await layerRef(db, input.layer)),
  })
  .record('publish', {
    do: async context => {
      const { tx, input, made } = context
      await publishLayer(tx, input.layer, made.copy)
      await publishSeed(tx, input.layer)
      await recordEvent(tx, layerMade(context.job, input.layer, `a copy of VM snapshot ${input.snapshot}`))
    },
    undo: nothing('nothing follows it'),
  })

async function reserve({ tx, input, settings }: RecordContext<SeedVmSnapshot, object>): Promise<void> {
  const { layer, bytes, snapshotName } = await demandDeployable(tx, input.snapshot)
  if (!layer)
    throw new Problem(
      'unsupported',
      'own-disks',
      `The hypervisor keeps the disks of VM snapshot ${snapshotName}; machines are made right from it, without a copy`,
    )
  await demandPoolTakesDisks(tx, input.pool)
  const expectedBytes = Math.min(await chainBytes(tx, layer), bytes)
  await holdRoomOn(tx, placementFactors(settings), input.pool, expectedBytes)
  await reserveLayer(tx, {
    id: input.layer,
    pool: input.pool,
    parent: null,
    account: null,
    virtualBytes: bytes,
    expectedBytes,
  })
  await insertSeed(tx, input.layer, input.snapshot, input.pool)
}

async function copy(context: StepContext<SeedVmSnapshot, object>): Promise<LayerFacts> {
  const { db, driver, input, progress, signal } = context
  const root = await rootOfSnapshot(db, input.snapshot)
  if (!root) throw new Problem('refused', 'vm-snapshot-without-root', `VM snapshot ${input.snapshot} has no root disk`)
  const { number } = await db
    .selectFrom('account')
    .select('number')
    .where('id', '=', root.account)
    .executeTakeFirstOrThrow()
  const [ref, source] = await Promise.all([layerRef(db, input.layer), layerChain(db, root.layer)])
  const reader = { accountNumber: number }
  const facts = await driver.layers.copy(ref, source, root.bytes, null, progress, signal, reader)
  // The reservation ends when the copy is ready; from then on the pool itself must know of it.
  await setPoolSpace(db, ref.pool.id, await driver.pools.space(ref.pool))
  return facts
}
