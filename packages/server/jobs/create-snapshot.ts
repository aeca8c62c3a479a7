// Makes a volume snapshot: a copy of what the disk shows at one instant, as a file on secondary storage that stands on nothing. Of
// a running machine the disk is cut first, so that it goes on writing elsewhere while the copy is made; what the cut left behind is
// merged afterwards. Or it is made of a disk as a VM snapshot has it, which stands still anyway.
import type { LayerId, SnapshotId, VmSnapshotId } from '@ramet/core/ids.ts'
import { stat } from 'node:fs/promises'
import { discardImage } from '../images/fetch.ts'
import { requireStore } from '../images/store.ts'
import { layerChain } from '../store/layers.ts'
import { holdRoom } from '../store/limits.ts'
import { holdSnapshot, moveSnapshot, snapshotFile } from '../store/snapshots.ts'
import { demandAction, holdVm } from '../store/vms.ts'
import { demandNoneAtWork, diskThen, usableVmSnapshot } from '../store/vm-snapshots.ts'
import { demandLoose, holdVolumeAsAsked, type OnVolume, volumeLock, wrongVolumeState } from '../store/volumes.ts'
import {
  type CutDisk,
  cutDisks,
  forkDisks,
  publishCut,
  reserveCut,
  settleCut,
  unforkDisks,
  unreserveCut,
} from './cut-disks.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { ownerOf } from './machine-spec.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'

export interface CreateSnapshot extends OnVolume {
  readonly snapshot: SnapshotId
  /** Whose disk is meant, instead of the one that the volume has now. */
  readonly vmSnapshot: VmSnapshotId | null
  readonly quiesce: boolean
}

export const createSnapshot = defineJob<CreateSnapshot>({
  kind: 'create-snapshot',
  event: 'SNAPSHOT.CREATE',
  doing: 'making snapshot of volume',
  instanceType: 'Snapshot',
  cancellable: true,
  lock: volumeLock,
  onLayers: true,
  instance: input => input.snapshot,
})
  .record('begin', {
    do: begin,
    undo: context => unreserveCut(context, (context.made as { begin: Begun }).begin.disks),
  })
  .actWhen('fork', {
    when: made => made.begin.disks.length > 0,
    do: context => forkDisks(context, context.made.begin.disks),
    undo: context => unforkDisks(context, context.made.begin.disks),
  })
  .actWhen('cut', {
    when: made => made.begin.disks.length > 0,
    do: async context => {
      const { input, made } = context
      return input.vm && cutDisks(context, input.vm, made.begin.disks, null, input.quiesce)
    },
    undo: async context => {
      if (context.input.vm) await settleCut(context, context.input.vm, context.made.begin.disks)
    },
  })
  .record('move-on', {
    do: async ({ tx, input, made }) => {
      if (made.fork) await publishCut(tx, made.begin.disks, made.fork)
      await moveSnapshot(tx, input.snapshot, 'BackupToSecondary', { quiesce: made.cut ? made.cut.quiesced : null })
    },
    undo: nothing('the disk writes its new layer, and stays there; the first step lets go of the old one'),
  })
  .act('export', {
    do: async ({ db, driver, input, made, progress, signal }) => {
      const { file, store } = await snapshotFile(db, input.snapshot)
      await requireStore(store)
      const [chain, owner] = [await layerChain(db, made.begin.source), await ownerOf(db, input.volume)]
      await driver.layers.export(chain, file, owner, progress, signal)
      return { bytes: (await stat(file)).blocks * 512 }
    },
    undo: async ({ db, input }) => discardImage((await snapshotFile(db, input.snapshot)).file),
  })
  .record('publish', {
    do: async ({ tx, input, made, jobs, job }) => {
      const { account_id } = await holdSnapshot(tx, input.snapshot)
      await holdRoom(tx, account_id, { secondaryBytes: made.export.bytes })
      await moveSnapshot(tx, input.snapshot, 'OperationSucceeded', { physical_bytes: made.export.bytes })
      const origin = { ...originOf(job), command: 'removeLayer' }
      for (const { old } of made.begin.disks) await removeIfUnneeded(tx, old, jobs, origin)
    },
    undo: nothing('nothing follows it'),
  })
  .whenItFails(async ({ tx, input, problem }) => {
    await moveSnapshot(tx, input.snapshot, 'OperationFailed', { error: problem?.message ?? null })
  })

interface Begun {
  /** What is copied. */
  readonly source: LayerId
  /** The disk to be cut; none where nobody writes it. */
  readonly disks: CutDisk[]
}

async function begin({ tx, input, job }: RecordContext<CreateSnapshot, object>): Promise<Begun> {
  const vm = input.vm && (await holdVm(tx, input.vm))
  if (vm) await demandNoneAtWork(tx, vm.id)
  const volume = await holdVolumeAsAsked(tx, input)
  await moveSnapshot(tx, input.snapshot, 'CreateRequested')
  if (input.vmSnapshot) {
    const { vm_id } = await usableVmSnapshot(tx, input.vmSnapshot)
    const disk = await diskThen(tx, { vmSnapshot: input.vmSnapshot, vm: vm_id, volume: input.volume })
    return { source: disk.layer_id, disks: [] }
  }
  if (vm) demandAction(vm, 'snapshot')
  else await demandLoose(tx, volume, job.id)
  if (volume.state !== 'Ready' || !volume.layer_id) throw wrongVolumeState(volume, 'a snapshot of it')
  return { source: volume.layer_id, disks: vm?.state === 'Running' ? await reserveCut(tx, [volume]) : [] }
}
