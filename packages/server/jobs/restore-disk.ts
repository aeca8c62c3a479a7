// The root disk of a restored machine: reserved, made, put in the old one's place, and the way back of each.
import type { CloneType } from '@ramet/core/clone-type.ts'
import { type LayerId, newId, type StoragePoolId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { LayerFacts } from '../drivers/driver.ts'
import { setPoolSpace } from '../store/capacity.ts'
import type { Db, Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { forgetLayer, layerChain, layerRef, layerRefIfAny, publishLayer, reserveLayer } from '../store/layers.ts'
import { demandPoolTakesDisks } from '../store/pools.ts'
import { activeTemplate } from '../store/templates.ts'
import { accountOfVm, holdVm, moveVm, setCloneType, type Vm } from '../store/vms.ts'
import { setVolume, type Volume, volumesOf } from '../store/volumes.ts'
import type { RecordContext, StepContext } from './define-job.ts'
import { roomForCopy } from './deploy-disks.ts'
import type { RestoreVm } from './restore-vm.ts'

type Recording = RecordContext<RestoreVm, object>
type Acting = StepContext<RestoreVm, object>

export interface RootPlan {
  readonly pool: StoragePoolId
  readonly cloneType: CloneType
  readonly old: VolumeId
  /** The template's copy on the pool; null: the disk begins empty. */
  readonly base: LayerId | null
}

export async function rootOf(db: Db, vm: Pick<Vm, 'id' | 'name'>): Promise<Volume> {
  const root = (await volumesOf(db, vm.id)).find(({ type }) => type === 'ROOT')
  if (!root?.pool_id) throw new Problem('refused', 'vm-without-disk', `Virtual machine ${vm.name} has no root disk`)
  return root
}

/** The new volume stands beside the old one, attached to nothing, until the two are exchanged. */
export async function reserveRoot(context: Recording, { pool, cloneType, old, base }: RootPlan): Promise<void> {
  const { tx, input } = context
  await demandPoolTakesDisks(tx, pool)
  const before = await volumeById(tx, old)
  await reserveLayer(tx, {
    id: input.layer,
    pool,
    parent: cloneType === 'linked' ? base : null,
    account: before.account_id,
    virtualBytes: input.rootBytes,
    expectedBytes: base && cloneType === 'full' ? await roomForCopy(context, pool, base) : 0,
  })
  await tx
    .insertInto('volume')
    .values({
      id: input.volume,
      account_id: before.account_id,
      zone_id: before.zone_id,
      pool_id: pool,
      template_id: input.image,
      service_offering_id: before.service_offering_id,
      disk_offering_id: input.diskOffering ?? before.disk_offering_id,
      layer_id: input.layer,
      name: before.name,
      type: 'ROOT',
      state: 'Creating',
      size_bytes: input.rootBytes,
    })
    .execute()
}

export async function unreserveRoot({ tx, input }: Recording): Promise<void> {
  await tx.deleteFrom('volume').where('id', '=', input.volume).execute()
  await forgetLayer(tx, input.layer)
}

export async function makeRoot(context: Acting, { cloneType, base }: RootPlan): Promise<LayerFacts> {
  const { db, driver, input, progress, signal } = context
  const [account, ref] = await Promise.all([accountOfVm(db, input.vm), layerRef(db, input.layer)])
  const owner = { accountNumber: account.number }
  if (!base) return driver.layers.blank(ref, input.rootBytes, owner)
  const source = await layerChain(db, base)
  if (cloneType === 'linked') return driver.layers.fork(ref, source, input.rootBytes, owner)
  const facts = await driver.layers.copy(ref, source, input.rootBytes, owner, progress, signal)
  // The reservation ends when the copy is ready; from then on the pool itself must know of it.
  await setPoolSpace(db, ref.pool.id, await driver.pools.space(ref.pool))
  return facts
}

export async function unmakeRoot({ db, driver, input }: Acting): Promise<void> {
  const ref = await layerRefIfAny(db, input.layer)
  if (ref) await driver.layers.discard(ref)
}

/** What the exchange takes from the machine, for the way back. */
export type Before = Pick<Vm, 'template_id' | 'iso_id' | 'password_hash' | 'seed_version' | 'generation_id'>

/** Returns what the caller is told. */
export async function exchangeRoots(
  context: Recording,
  old: VolumeId,
  facts: LayerFacts,
): Promise<{ readonly sealedpassword?: string }> {
  const { tx, input, passwords } = context
  // Before anything is locked: it may take a moment to make one.
  const { sealed, hash } = input.withPassword ? await passwords.take() : { sealed: undefined, hash: null }
  const { seed_version } = await holdVm(tx, input.vm)
  const { device_id } = await volumeById(tx, old)
  // Until the machine runs it may be asked for again: nobody can recover, attach or remove it in this state.
  await setVolume(tx, old, { ...detached, state: 'Expunging' })
  await publishLayer(tx, input.layer, facts)
  await setVolume(tx, input.volume, { vm_id: input.vm, device_id, attached: new Date(), state: 'Ready' })
  await tellOf(context, input.volume, 'VOLUME.CREATE', `created volume ${input.volume}`)
  if (!input.template) await setCloneType(tx, input.vm, 'full') // nothing is under an empty disk
  await moveVm(tx, input.vm, 'RestoringSuccess', {
    template_id: input.image,
    ...(await isoOf(tx, input)),
    password_hash: hash,
    seed_version: seed_version + 1,
    generation_id: newId(), // a guest that reads it makes its random numbers anew
  })
  return sealed ? { sealedpassword: sealed } : {}
}

/** There is no way back any more: the old disk waits for its removal, or for its owner to recover it. */
export async function setAside(context: Recording, old: VolumeId): Promise<Volume> {
  await setVolume(context.tx, old, { state: 'Destroy', destroyed: new Date() })
  await tellOf(context, old, 'VOLUME.DESTROY', `set volume ${old} aside, for the machine was restored`)
  return volumeById(context.tx, old)
}

export async function putBack(
  { tx, input }: Recording,
  { old, before, cloneType }: Pick<RootPlan, 'old' | 'cloneType'> & { readonly before: Before },
): Promise<void> {
  const { device_id } = await volumeById(tx, input.volume)
  await setVolume(tx, input.volume, { ...detached, state: 'Creating' })
  await setVolume(tx, old, { vm_id: input.vm, device_id, attached: new Date(), state: 'Ready', destroyed: null })
  if (!input.template) await setCloneType(tx, input.vm, cloneType)
  await moveVm(tx, input.vm, 'RestoringRequested', before)
}

/** The ISO that a machine is installed from is in its drive again; a template leaves the drive as it is. */
async function isoOf(tx: Tx, { image, template }: RestoreVm): Promise<Partial<Pick<Vm, 'iso_id'>>> {
  if (template || !image) return {}
  await activeTemplate(tx, image)
  return { iso_id: image }
}

const detached = { vm_id: null as VmId | null, device_id: null, attached: null }

function volumeById(tx: Tx, id: VolumeId): Promise<Volume> {
  return tx.selectFrom('volume').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
}

async function tellOf({ tx, job }: Recording, volume: VolumeId, type: string, description: string): Promise<void> {
  await recordEvent(tx, {
    type,
    description,
    account: job.account_id,
    user: job.user_id,
    resourceType: 'Volume',
    resource: volume,
    startEvent: job.start_event_id,
  })
}
