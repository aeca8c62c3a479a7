// What the commands on volume snapshots have in common: finding one for its owner, the record of a new one, the results of jobs.
import { newId, type SnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { createSnapshot, type CreateSnapshot } from '../jobs/create-snapshot.ts'
import { roomiestStore } from '../store/image-stores.ts'
import { type ListedSnapshot, selectSnapshots, type Snapshot, snapshotById } from '../store/snapshots.ts'
import type { VmSnapshot } from '../store/vm-snapshots.ts'
import { demandNoneAtWork } from '../store/vm-snapshots.ts'
import type { Volume } from '../store/volumes.ts'
import { type Caller, demandOwned, originOfCall, unknownId } from './caller.ts'
import type { JobResult } from './command.ts'
import { snapshotView } from './views/snapshot.ts'

/** The snapshot that parameter `name` names, if the caller may use it. */
export async function snapshotOfCall(app: App, caller: Caller, id: SnapshotId, name = 'id'): Promise<Snapshot> {
  const snapshot = await demandOwned(app, caller, await snapshotById(app.db, id), name, id)
  if (snapshot.removed) throw unknownId(name, id)
  return snapshot
}

interface Asked {
  readonly command: string
  readonly name: string | undefined
  readonly vmSnapshot: VmSnapshot | null
  readonly quiesce: boolean
}

/** Writes the record of a new snapshot and starts its job, in one transaction. */
export async function startSnapshot(app: App, caller: Caller, volume: Volume, asked: Asked) {
  const id = newId<'snapshot'>()
  return app.db.transaction().execute(async tx => {
    if (volume.vm_id) await demandNoneAtWork(tx, volume.vm_id)
    if (asked.vmSnapshot) await refuseSecond(app, volume, asked.vmSnapshot)
    const store = await roomiestStore(tx, volume.zone_id)
    await tx
      .insertInto('snapshot')
      .values({
        id,
        account_id: volume.account_id,
        zone_id: volume.zone_id,
        volume_id: volume.id,
        vm_snapshot_id: asked.vmSnapshot?.id ?? null,
        image_store_id: store.id,
        name: asked.name || `${volume.name}_${new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14)}`,
        state: 'Allocated',
        virtual_bytes: volume.size_bytes,
        install_path: `snapshots/${id}.qcow2`,
      })
      .execute()
    const input: CreateSnapshot = {
      volume: volume.id,
      vm: asked.vmSnapshot?.vm_id ?? volume.vm_id,
      snapshot: id,
      vmSnapshot: asked.vmSnapshot?.id ?? null,
      quiesce: asked.quiesce,
    }
    return { id, jobid: await app.jobs.start(tx, createSnapshot, input, originOfCall(caller, asked.command)) }
  })
}

async function refuseSecond(app: App, volume: Volume, { id, display_name }: VmSnapshot): Promise<void> {
  const other = await app.db
    .selectFrom('snapshot')
    .select('name')
    .where('vm_snapshot_id', '=', id)
    .where('volume_id', '=', volume.id)
    .where('removed', 'is', null)
    .where('state', '!=', 'Error')
    .executeTakeFirst()
  if (other)
    throw new Problem(
      'refused',
      'snapshot-made-already',
      `Snapshot ${other.name} was made of volume ${volume.name} in VM snapshot ${display_name} already; use that, or delete it`,
    )
}

/** The snapshot as it is when the result is asked for. */
export const snapshotResult: JobResult<ListedSnapshot> = {
  view: snapshotView,
  read: (app, job) =>
    selectSnapshots(app.db)
      .where('snapshot.id', '=', job.instance_id as SnapshotId)
      .where('snapshot.removed', 'is', null)
      .executeTakeFirst(),
}
