// Moves a volume to another primary storage while nobody has it open. What a linked clone stands on does not travel: the clone
// arrives linked, on the template's copy there, where the rules of the new storage say so and the template is still to be had; else
// it is flattened. The disk is copied first and takes the volume's name when it is whole; only then may the old one go.
import { type CloneType, decideCloneType, fullCloneSetting } from '@ramet/core/clone-type.ts'
import type { LayerId, StoragePoolId, TemplateId } from '@ramet/core/ids.ts'
import { takesNewDisks } from '@ramet/core/pool.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { LayerFacts } from '../drivers/driver.ts'
import type { Settings } from '../settings.ts'
import { setPoolSpace } from '../store/capacity.ts'
import type { Tx } from '../store/database.ts'
import {
  chainBytes,
  forgetLayer,
  layerChain,
  layerRef,
  layerRefIfAny,
  publishLayer,
  reserveLayer,
} from '../store/layers.ts'
import { demandPoolTakesDisks } from '../store/pools.ts'
import { demandAction, holdVm, setCloneType, type Vm } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import { demandSizeFits, holdRoomOn, poolsInReach, tagsAsked } from '../store/volume-pools.ts'
import {
  demandLoose,
  holdVolumeAsAsked,
  moveVolume,
  type OnVolume,
  type Volume,
  volumeById,
  volumeLock,
  wrongVolumeState,
} from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { copiesOf } from './disk-demand.ts'
import { ownerOf } from './machine-spec.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { templateOnPool } from './template-on-pool.ts'
import { originOf } from './tools.ts'
import { placementFactors } from './vm-steps.ts'

export interface MigrateVolume extends OnVolume {
  readonly pool: StoragePoolId
  /** Made there. */
  readonly layer: LayerId
}

export const migrateVolume = defineJob<MigrateVolume>({
  kind: 'migrate-volume',
  event: 'VOLUME.MIGRATE',
  doing: 'migrating volume',
  instanceType: 'Volume',
  cancellable: true,
  lock: volumeLock,
  onLayers: true,
  instance: input => input.volume,
})
  .record('begin', {
    do: begin,
    undo: async ({ tx, input }) => void (await moveVolume(tx, input.volume, 'OperationFailed')),
  })
  .actWhen('cache-template', {
    when: ({ begin: { arrives } }) => arrives.as === 'linked' && arrives.copy === null,
    do: async context => {
      const { arrives } = context.made.begin
      if (arrives.as === 'full') throw new Error('only a linked clone needs the template')
      return templateOnPool(context, arrives.template, context.input.pool)
    },
    undo: nothing('other machines may stand on the copy'),
  })
  .record('reserve', {
    do: async ({ tx, input, settings, made }): Promise<LayerId | null> => {
      const base = baseOf(made.begin, made['cache-template'])
      const volume = await holdVolumeAsAsked(tx, input)
      await demandPoolTakesDisks(tx, input.pool)
      await holdRoomOn(tx, placementFactors(settings), input.pool, made.begin.bytes)
      await reserveLayer(tx, {
        id: input.layer,
        pool: input.pool,
        parent: base,
        account: volume.account_id,
        virtualBytes: volume.size_bytes,
        expectedBytes: made.begin.bytes,
      })
      return base
    },
    undo: async ({ tx, input }) => forgetLayer(tx, input.layer),
  })
  .act('copy', {
    do: async context => copy(context, context.made.reserve),
    undo: async ({ db, driver, input }) => {
      const layer = await layerRefIfAny(db, input.layer)
      if (layer) await driver.layers.discard(layer)
    },
  })
  .record('publish', {
    do: async context => publish(context, context.made.copy),
    undo: nothing('nothing follows it'),
  })

/** What the volume is going to be on the other storage, and the template's copy there if it is ready. */
type Arrival =
  | { readonly as: 'full' }
  | { readonly as: 'linked'; readonly template: TemplateId; readonly copy: LayerId | null }

interface Begun {
  readonly arrives: Arrival
  /** What the new layer itself is going to occupy. */
  readonly bytes: number
}

type Recording = RecordContext<MigrateVolume, object>

async function begin({ tx, input, settings, job }: Recording): Promise<Begun> {
  const vm = input.vm && (await holdVm(tx, input.vm))
  if (vm) {
    demandAction(vm, 'migration of its disks')
    await demandNoVmSnapshots(tx, vm.id, 'migrating one of its volumes')
  }
  const volume = await holdVolumeAsAsked(tx, input)
  if (!vm) await demandLoose(tx, volume, job.id)
  if (volume.state !== 'Ready' || !volume.layer_id) throw wrongVolumeState(volume, 'migrating it')
  await demandPool(tx, settings, volume, vm, input.pool)
  const arrives = await arrivalOf(tx, settings, volume, volume.layer_id, vm, input.pool)
  const own = await tx
    .selectFrom('layer')
    .select('allocated_bytes')
    .where('id', '=', volume.layer_id)
    .executeTakeFirst()
  const whole = await chainBytes(tx, volume.layer_id)
  const bytes = arrives.as === 'linked' ? (own?.allocated_bytes ?? 0) : whole
  await holdRoomOn(tx, placementFactors(settings), input.pool, bytes)
  await moveVolume(tx, volume.id, 'MigrationRequested')
  return { arrives, bytes }
}

/** Throws where the volume cannot be moved to this storage. */
export async function demandPool(
  tx: Tx,
  settings: Settings,
  volume: Volume,
  vm: Vm | null,
  id: StoragePoolId,
): Promise<void> {
  const pool = await tx
    .selectFrom('storage_pool')
    .innerJoin('cluster', 'cluster.id', 'storage_pool.cluster_id')
    .innerJoin('pod', 'pod.id', 'cluster.pod_id')
    .select(['storage_pool.name', 'storage_pool.state', 'storage_pool.problem', 'storage_pool.tags', 'pod.zone_id'])
    .where('storage_pool.id', '=', id)
    .executeTakeFirst()
  if (!pool) throw new Problem('invalid', 'unknown-id', `Parameter storageid: there is nothing with the id ${id}`)
  if (volume.pool_id === id)
    throw new Problem('refused', 'same-pool', `Volume ${volume.name} is on storage pool ${pool.name} already`)
  if (pool.zone_id !== volume.zone_id)
    throw new Problem(
      'refused',
      'other-zone',
      `Storage pool ${pool.name} is in another zone than volume ${volume.name}`,
    )
  if (!takesNewDisks(pool))
    throw new Problem(
      'refused',
      'pool-not-up',
      `Storage pool ${pool.name} takes no new disks: ${pool.problem ?? `it is ${pool.state}`}`,
    )
  const missing = (await tagsAsked(tx, volume)).filter(tag => !pool.tags.includes(tag))
  if (missing.length > 0)
    throw new Problem(
      'refused',
      'pool-without-tags',
      `Storage pool ${pool.name} lacks what the disk offering asks: ${missing.join(', ')}`,
    )
  if (vm && !(await poolsInReach(tx, placementFactors(settings), vm, volume.id)).has(id))
    throw new Problem(
      'refused',
      'pool-out-of-reach',
      `No host reaches both storage pool ${pool.name} and the other disks of ${vm.name}; detach the volume first`,
    )
  await demandSizeFits(tx, { pool: id }, volume.size_bytes)
}

/** Linked only where the new storage is for linked clones, and the template that it stands on can be had there. */
async function arrivalOf(
  tx: Tx,
  settings: Settings,
  volume: Volume,
  layer: LayerId,
  vm: Vm | null,
  pool: StoragePoolId,
): Promise<Arrival> {
  const template = await templateUnder(tx, volume, layer)
  if (!template || (await cloneTypeOn(tx, settings, vm, pool)) === 'full') return { as: 'full' }
  const copies = await copiesOf(tx, template)
  return { as: 'linked', template, copy: copies.find(each => each.pool === pool)?.layer ?? null }
}

/** The template whose copy the layer stands on, if the template can still be copied elsewhere. */
async function templateUnder(tx: Tx, volume: Volume, layer: LayerId): Promise<TemplateId | null> {
  const chain = await layerChain(tx, layer)
  if (chain.length !== 2 || !volume.template_id) return null
  const row = await tx
    .selectFrom('template_spool_ref as ref')
    .innerJoin('template', 'template.id', 'ref.template_id')
    .select('template.id')
    .where('ref.layer_id', '=', chain[0].id)
    .where('ref.template_id', '=', volume.template_id)
    .where('template.state', '=', 'Active')
    .where('template.download_state', '=', 'DOWNLOADED')
    .executeTakeFirst()
  return row?.id ?? null
}

async function cloneTypeOn(tx: Tx, settings: Settings, vm: Vm | null, pool: StoragePoolId): Promise<CloneType> {
  const offering =
    vm &&
    (await tx
      .selectFrom('service_offering')
      .select('clone_type')
      .where('id', '=', vm.service_offering_id)
      .executeTakeFirst())
  return decideCloneType({
    offering: offering?.clone_type,
    createFullClone: settings.flag(fullCloneSetting[vm?.hypervisor ?? 'KVM'], pool),
  })
}

function baseOf({ arrives }: Begun, cached: LayerId | undefined): LayerId | null {
  return arrives.as === 'linked' ? (arrives.copy ?? cached ?? null) : null
}

async function copy(
  { db, driver, input, progress, signal }: StepContext<MigrateVolume, object>,
  base: LayerId | null,
): Promise<LayerFacts> {
  const [volume, layer, owner] = await Promise.all([
    volumeById(db, input.volume),
    layerRef(db, input.layer),
    ownerOf(db, input.volume),
  ])
  if (!volume?.layer_id) throw new Problem('refused', 'volume-without-disk', `Volume ${input.volume} has no disk yet`)
  const source = await layerChain(db, volume.layer_id)
  const facts = base
    ? await driver.layers.graft(layer, source, await layerChain(db, base), owner, progress, signal)
    : await driver.layers.copy(layer, source, volume.size_bytes, owner, progress, signal)
  // The reservation ends when the copy is ready; from then on the pool itself must know of it.
  await setPoolSpace(db, layer.pool.id, await driver.pools.space(layer.pool))
  return facts
}

async function publish({ tx, input, jobs, job, made }: Recording, facts: LayerFacts): Promise<void> {
  await publishLayer(tx, input.layer, facts)
  const { layer_id: old, type } = await moveVolume(tx, input.volume, 'OperationSucceeded', {
    pool_id: input.pool,
    layer_id: input.layer,
    size_bytes: facts.virtualBytes,
  })
  const { arrives } = (made as { begin: Begun }).begin
  if (input.vm && type === 'ROOT' && arrives.as === 'full') await setCloneType(tx, input.vm, 'full')
  if (old) await removeIfUnneeded(tx, old, jobs, { ...originOf(job), command: 'removeLayer' })
}
