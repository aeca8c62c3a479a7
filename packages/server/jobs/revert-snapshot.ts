// Brings a volume back to one of its snapshots: a new disk is made from the file, takes the place of the present one, and that
// goes. Nobody may have the disk open meanwhile, so its machine is stopped, or it has none.
import type { LayerId, SnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { requireStore } from '../images/store.ts'
import { forgetLayer, layerRef, layerRefIfAny, publishLayer, reserveLayer } from '../store/layers.ts'
import { snapshotFile, usableSnapshot } from '../store/snapshots.ts'
import { demandAction, holdVm, setCloneType } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import {
  demandLoose,
  holdVolumeAsAsked,
  type OnVolume,
  setVolume,
  volumeLock,
  wrongVolumeState,
} from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { ownerOf } from './machine-spec.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'

export interface RevertSnapshot extends OnVolume {
  readonly snapshot: SnapshotId
  /** To be made. */
  readonly layer: LayerId
}

export const revertSnapshot = defineJob<RevertSnapshot>({
  kind: 'revert-snapshot',
  event: 'SNAPSHOT.REVERT',
  doing: 'reverting volume to snapshot',
  instanceType: 'Snapshot',
  cancellable: true,
  lock: volumeLock,
  onLayers: true,
  instance: input => input.snapshot,
})
  .record('begin', { do: begin, undo: async ({ tx, input }) => forgetLayer(tx, input.layer) })
  .act('seed', {
    do: async ({ db, driver, input, progress, signal }) => {
      const { file, store } = await snapshotFile(db, input.snapshot)
      await requireStore(store)
      const [layer, owner] = [await layerRef(db, input.layer), await ownerOf(db, input.volume)]
      return driver.layers.seed(layer, file, 'qcow2', owner, progress, signal)
    },
    undo: async ({ db, driver, input }) => {
      const layer = await layerRefIfAny(db, input.layer)
      if (layer) await driver.layers.discard(layer)
    },
  })
  .record('switch', {
    do: async ({ tx, input, made, jobs, job }) => {
      await publishLayer(tx, input.layer, made.seed)
      await setVolume(tx, input.volume, { layer_id: input.layer, size_bytes: made.seed.virtualBytes })
      if (input.vm && made.begin.isRoot) await setCloneType(tx, input.vm, 'full')
      await removeIfUnneeded(tx, made.begin.old, jobs, { ...originOf(job), command: 'removeLayer' })
    },
    undo: nothing('nothing follows it'),
  })

async function begin({ tx, input, job }: RecordContext<RevertSnapshot, object>) {
  const vm = input.vm && (await holdVm(tx, input.vm))
  if (vm) await demandNoVmSnapshots(tx, vm.id, 'reverting one of its volumes')
  const volume = await holdVolumeAsAsked(tx, input)
  if (vm) demandAction(vm, 'revert of its volumes')
  else await demandLoose(tx, volume, job.id)
  const snapshot = await usableSnapshot(tx, input.snapshot)
  if (volume.state !== 'Ready' || !volume.layer_id || !volume.pool_id) throw wrongVolumeState(volume, 'reverting it')
  if (snapshot.virtual_bytes !== volume.size_bytes)
    throw new Problem(
      'refused',
      'volume-resized',
      `Volume ${volume.name} has another size than when snapshot ${snapshot.name} was made (${volume.size_bytes} and ${snapshot.virtual_bytes} bytes)`,
    )
  await reserveLayer(tx, {
    id: input.layer,
    pool: volume.pool_id,
    parent: null,
    account: volume.account_id,
    virtualBytes: snapshot.virtual_bytes,
    expectedBytes: snapshot.physical_bytes,
  })
  return { old: volume.layer_id, isRoot: volume.type === 'ROOT' }
}
