// Makes a seed: a flat copy of a VM snapshot's root disk, on the same storage. Linked clones stand on it and full clones are copied
// from it, so that many machines can be made at once, their chains stay short, and the snapshot may go without them. It has the lock
// of the snapshot's machine: nobody merges, moves or removes what it reads.
import type { LayerId, StoragePoolId, VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { LayerFacts } from '../drivers/driver.ts'
import type { Forest } from '../drivers/forest.ts'
import { setPoolSpace } from '../store/capacity.ts'
import { recordEvent } from '../store/events.ts'
import { chainBytes, forgetLayer, layerChain, layerRef, publishLayer, reserveLayer } from '../store/layers.ts'
import { hostNear } from '../store/hosts.ts'
import { demandPoolTakesDisks, poolById } from '../store/pools.ts'
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
    do: context => (context.driver.forest ? copyByHypervisor(context, context.driver.forest) : copy(context)),
    undo: async ({ db, driver, input }) => {
      if (driver.forest) return driver.forest.unseed({ kind: 'seed', id: input.layer })
      await driver.layers.discard(await layerRef(db, input.layer))
    },
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
  const { layer, bytes } = await demandDeployable(tx, input.snapshot)
  await demandPoolTakesDisks(tx, input.pool)
  // What a chain of the hypervisor's occupies below the disk's own files, nobody has told.
  const expectedBytes = layer ? Math.min(await chainBytes(tx, layer), bytes) : bytes
  await holdRoomOn(tx, placementFactors(settings), input.pool, expectedBytes)
  await reserveLayer(tx, {
    id: input.layer,
    pool: input.pool,
    parent: null,
    account: null,
    virtualBytes: bytes,
    expectedBytes,
  })
  await insertSeed(tx, input.layer, layer ? `${input.layer}.qcow2` : `seed-${input.layer}`, input.snapshot, input.pool)
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

/** The hypervisor has a machine for it, that nobody runs. */
async function copyByHypervisor(context: StepContext<SeedVmSnapshot, object>, forest: Forest): Promise<LayerFacts> {
  const { db, driver, input, progress, signal } = context
  const [pool, host] = await Promise.all([poolById(db, input.pool), hostNear(db, input.pool, input.vm)])
  if (!pool) throw new Error(`there is no storage pool ${input.pool}`)
  const [seed, of] = [
    { kind: 'seed', id: input.layer },
    { kind: 'vm-snapshot', id: input.snapshot, vm: input.vm },
  ] as const
  const { disks } = await forest.seed(seed, of, host, { progress, signal })
  await setPoolSpace(db, pool.id, await driver.pools.space({ id: pool.id, path: pool.path }))
  const [root] = disks
  if (!root) throw new Problem('refused', 'vm-snapshot-without-root', `VM snapshot ${input.snapshot} has no root disk`)
  return { virtualBytes: root.virtualBytes, allocatedBytes: root.allocatedBytes }
}
