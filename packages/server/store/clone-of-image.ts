// What any instant clone of a memory image will be: of a fork that stays, or of a VM snapshot.
import { type MemoryImageId, newId } from '@ramet/core/ids.ts'
import type { LayerChain, MachineSpec } from '../drivers/driver.ts'
import type { Db } from './database.ts'
import { layerRefIfAny } from './layers.ts'
import { memoryRef } from './memory-images.ts'

export interface CloneOfImage {
  /** Under ids that do not matter, without disks. */
  readonly spec: Omit<MachineSpec, 'disks'>
  /** Its disks, each with a layer of its source. */
  readonly places: readonly { readonly deviceId: number; readonly chain: LayerChain }[]
}

/** Null where no clone of it can be made here and now. */
export async function cloneOfImage(db: Db, image: MemoryImageId): Promise<CloneOfImage | null> {
  const source = (await forkWith(db, image)) ?? (await snapshotOf(db, image))
  if (!source || source.iso_id) return null
  const disks = await source.disks
  const places = []
  for (const { device_id: deviceId, layer_id } of disks) {
    const layer = await layerRefIfAny(db, layer_id)
    if (!layer) return null
    places.push({ deviceId, chain: [layer] as const })
  }
  const spec: CloneOfImage['spec'] = {
    vm: newId(),
    host: { id: source.host, name: source.host_name },
    name: '',
    owner: { accountNumber: source.number },
    cpus: source.cpus,
    memoryMib: source.memory_mib,
    generationId: newId(),
    nics: [],
    memory: await memoryRef(db, image),
    isClone: true,
    cdrom: null,
    firstBoot: { instanceId: '', hostname: '', sshKeys: [], passwordHash: null, userData: null },
  }
  return { spec, places }
}

async function forkWith(db: Db, image: MemoryImageId) {
  const row = await inOrder(db, image)
    .innerJoin('fork', 'fork.vm_id', 'vm.id')
    .select(['fork.id as fork', 'vm.cpus', 'vm.memory_mib'])
    .where('fork.memory_image_id', '=', image)
    .where('fork.state', '=', 'Ready')
    .where(eb => eb.or([eb('fork.is_frozen', '=', true), eb('fork.is_kept', '=', true)]))
    .executeTakeFirst()
  const disks = (fork: NonNullable<typeof row>['fork']) =>
    db
      .selectFrom('fork_disk')
      .select(['device_id', 'layer_id'])
      .where('fork_id', '=', fork)
      .orderBy('device_id')
      .execute()
  return row && { ...row, disks: disks(row.fork) }
}

async function snapshotOf(db: Db, image: MemoryImageId) {
  const row = await inOrder(db, image)
    .innerJoin('vm_snapshot as snapshot', 'snapshot.vm_id', 'vm.id')
    .select(['snapshot.id as snapshot', 'snapshot.cpus', 'snapshot.memory_mib'])
    .where('snapshot.memory_image_id', '=', image)
    .where('snapshot.state', '=', 'Ready')
    .executeTakeFirst()
  const disks = (snapshot: NonNullable<typeof row>['snapshot']) =>
    db
      .selectFrom('vm_snapshot_disk')
      .select(['device_id', 'layer_id'])
      .where('snapshot_id', '=', snapshot)
      .orderBy('device_id')
      .execute()
  return row && { ...row, disks: disks(row.snapshot) }
}

/** Machines whose account, host and the image's storage are in order. */
function inOrder(db: Db, image: MemoryImageId) {
  return db
    .selectFrom('vm')
    .innerJoin('account', 'account.id', 'vm.account_id')
    .innerJoin('host', join =>
      join.on(({ eb, fn }) => eb('host.id', '=', fn.coalesce('vm.host_id', 'vm.last_host_id'))),
    )
    .select(['vm.iso_id', 'account.number', 'host.id as host', 'host.name as host_name'])
    .where('vm.cluster_id', 'is', null)
    .where('account.state', '=', 'enabled')
    .where('account.cleanup_needed', '=', false)
    .where('host.state', '=', 'Up')
    .where('host.resource_state', '=', 'Enabled')
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('memory_image')
          .innerJoin('storage_pool as pool', 'pool.id', 'memory_image.pool_id')
          .select('pool.id')
          .where('memory_image.id', '=', image)
          .where('memory_image.state', '=', 'ready')
          .where('pool.state', '=', 'Up')
          .where('pool.problem', 'is', null),
      ),
    )
}
