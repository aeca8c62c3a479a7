// The data volumes that a machine from a VM snapshot gets besides its root disk, where the call wants them (datavolumes).
import type { CloneType } from '@ramet/core/clone-type.ts'
import { newId, type VmId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import { createVolumeFromSnapshot } from '../jobs/create-volume-from-snapshot.ts'
import type { DataVolume } from '../jobs/deploy-data.ts'
import type { SnapshotSource } from '../jobs/snapshot-source.ts'
import type { JobOrigin } from '../jobs/tools.ts'
import type { Tx } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import type { DiskThen } from '../store/vm-snapshots.ts'
import { insertVolume } from './new-volume.ts'
import { invalid } from './parameters.ts'

/** A data disk as the VM snapshot has it. */
export interface DataThen {
  readonly then: DiskThen
  readonly fields: Pick<Row<'volume'>, 'zone_id' | 'disk_offering_id' | 'template_id' | 'size_bytes' | 'pool_id'>
  readonly deviceId: number
}

interface Asked {
  readonly datavolumes: boolean | undefined
  readonly diskofferingid: unknown
}

/** Those that the machine had when the snapshot was taken, if the call wants them. */
export async function dataVolumesAsked(
  app: App,
  asked: Asked,
  owner: Row<'account'>,
  source: SnapshotSource | undefined,
): Promise<DataThen[]> {
  if (!asked.datavolumes) return []
  if (!source) throw invalid('datavolumes', 'is for machines from VM snapshots (vmsnapshotid)')
  if (asked.diskofferingid) throw invalid('datavolumes', 'and diskofferingid exclude each other')
  const found = await app.db
    .selectFrom('vm_snapshot_disk as disk')
    .innerJoin('volume', 'volume.id', 'disk.volume_id')
    .innerJoin('layer', 'layer.id', 'disk.layer_id')
    .select(['volume.id', 'volume.account_id', 'disk.device_id'])
    .select(['volume.zone_id', 'volume.disk_offering_id', 'volume.template_id', 'disk.size_bytes', 'layer.pool_id'])
    .where('disk.snapshot_id', '=', source.snapshot)
    .where('disk.device_id', '!=', 0)
    .orderBy('disk.device_id')
    .execute()
  if (found.some(({ account_id }) => account_id !== owner.id))
    throw invalid(
      'datavolumes',
      `is not possible: a volume belongs to the account of its snapshot, not to ${owner.name}`,
    )
  return found.map(({ id, device_id: deviceId, zone_id, disk_offering_id, template_id, size_bytes, pool_id }) => ({
    then: { vmSnapshot: source.snapshot, vm: source.vm, volume: id },
    fields: { zone_id, disk_offering_id, template_id, size_bytes, pool_id },
    deviceId,
  }))
}

/** Their records, and the jobs that make them; written down before the deployment, which waits for them. */
export async function startDataVolumes(
  app: App,
  tx: Tx,
  volumes: readonly DataThen[],
  to: { readonly vm: VmId; readonly owner: Row<'account'>; readonly cloneType: CloneType | null },
  origin: JobOrigin,
): Promise<DataVolume[]> {
  const started: DataVolume[] = []
  for (const { then, fields, deviceId } of volumes) {
    const { id: volume } = await insertVolume(tx, to.owner, { ...fields, state: 'Creating' })
    const source = { ...then, cloneType: to.cloneType, machine: to.vm }
    const input = { volume, layer: newId<'layer'>(), source }
    started.push({ volume, job: await app.jobs.start(tx, createVolumeFromSnapshot, input, origin), deviceId })
  }
  return started
}
