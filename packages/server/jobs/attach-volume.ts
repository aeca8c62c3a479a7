// Attaches a volume to a machine: to one that runs by hot-plug, to one that is stopped for its next start. A volume that was never
// used gets its disk here, empty or from its uploaded file, on a storage that the machine's hosts reach.
import type { JobId, LayerId, StoragePoolId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { attachEvent, choosePlace, type VolumeState } from '@ramet/core/volume.ts'
import type { ImageFacts, LayerFacts } from '../drivers/driver.ts'
import type { DiskFacts } from '../drivers/forest.ts'
import { mostDataVolumes } from '../store/hypervisor-capabilities.ts'
import { forgetLayer, layerChain, layerRef, layerRefIfAny, publishLayer, reserveLayer } from '../store/layers.ts'
import { demandPoolServesDisks } from '../store/pools.ts'
import type { Row } from '../store/tables.ts'
import { accountOfVm, demandAction, holdVm, setCloneType, type Vm, vmLock } from '../store/vms.ts'
import { demandNoVmSnapshots } from '../store/vm-snapshots.ts'
import { choosePool, outOfReach, poolsInReach } from '../store/volume-pools.ts'
import {
  demandLoose,
  holdVolume,
  moveVolume,
  uploadedFile,
  type Volume,
  volumesOf,
  wrongVolumeState,
} from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { createVolumeFromSnapshot } from './create-volume-from-snapshot.ts'
import { letGoOfUpload } from './discard-upload.ts'
import { attachDisk, demandLoosable, detachDisk, keptDisk } from './data-disk.ts'
import { kept } from './forest-machine.ts'
import { untilEnded } from './others.ts'
import { originOf } from './tools.ts'
import { placementFactors } from './vm-steps.ts'

export interface AttachVolume {
  readonly volume: VolumeId
  readonly vm: VmId
  /** The place asked for; null: the first free one. */
  readonly deviceId: number | null
  /** Made if the volume has no disk yet. */
  readonly layer: LayerId
  /** The job that is making the volume's disk. */
  readonly after?: JobId
}

export const attachVolume = defineJob<AttachVolume>({
  kind: 'attach-volume',
  event: 'VOLUME.ATTACH',
  doing: 'attaching volume',
  instanceType: 'Volume',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.volume,
})
  .record('begin', { do: begin, undo: giveBack })
  .actWhen('make-disk', {
    when: made => made.begin.from !== 'Ready',
    do: makeDisk,
    undo: async ({ db, driver, input }) => {
      if (driver.forest) return driver.forest.devices.discardDisk(await keptDisk(db, input.volume))
      const layer = await layerRefIfAny(db, input.layer)
      if (layer) await driver.layers.discard(layer)
    },
  })
  .act('plug', {
    do: attachDisk,
    undo: detachDisk,
  })
  .record('publish', {
    do: async context => publish(context, context.made['make-disk'] ?? null, context.made.plug),
    undo: nothing('nothing follows it'),
  })

interface Begun {
  readonly from: VolumeState
  readonly type: Volume['type']
  readonly pool: StoragePoolId | null
}

async function begin(context: RecordContext<AttachVolume, object>): Promise<Begun> {
  const { tx, input, settings, driver } = context
  if (input.after) await untilEnded(context, createVolumeFromSnapshot.traits.kind, input.after)
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'attach')
  await demandNoVmSnapshots(tx, vm.id, 'attaching a volume')
  const volume = await holdVolume(tx, input.volume)
  const event = attachEvent(volume.state)
  await demandLoose(tx, volume)
  if (!event) throw wrongVolumeState(volume, 'attaching it')
  demandFits(vm, volume)
  if (driver.capabilities.disks === 'machines' && event && volume.state === 'Uploaded') throw uploadedElsewhere(volume)
  const deviceId = await placeIn(tx, vm, input.deviceId, driver.capabilities.highestDeviceId)
  if (volume.layer_id === null) demandLoosable(driver, volume, deviceId)
  const factors = placementFactors(settings)
  const begun = { from: volume.state, type: volume.type, pool: volume.pool_id }
  const place = { vm_id: vm.id, device_id: deviceId, type: deviceId === 0 ? ('ROOT' as const) : ('DATADISK' as const) }
  if (volume.state === 'Ready') {
    const reached = await poolsInReach(tx, factors, vm, volume.id)
    if (!reached.has(volume.pool_id as StoragePoolId)) throw outOfReach(volume.name, vm.name)
    await demandPoolServesDisks(tx, volume.pool_id as StoragePoolId)
    await moveVolume(tx, volume.id, event, place)
    return begun
  }
  const bytes = volume.physical_bytes ?? emptyDiskBytes
  const pool = await choosePool(tx, factors, vm, volume, bytes)
  if (driver.capabilities.disks === 'machines') {
    await moveVolume(tx, volume.id, event, { ...place, pool_id: pool })
    return begun
  }
  await reserveLayer(tx, {
    id: input.layer,
    pool,
    parent: null,
    account: volume.account_id,
    virtualBytes: volume.size_bytes,
    expectedBytes: bytes,
  })
  await moveVolume(tx, volume.id, event, { ...place, pool_id: pool, layer_id: input.layer })
  return begun
}

function uploadedElsewhere({ name }: Volume): Problem {
  return new Problem(
    'unsupported',
    'own-disks',
    `Volume ${name} is an uploaded file; a hypervisor that keeps its own disks makes none of it`,
  )
}

const emptyDiskBytes = 256 * 1024

function demandFits(vm: Vm, volume: Volume): void {
  if (volume.zone_id !== vm.zone_id)
    throw new Problem(
      'refused',
      'other-zone',
      `Volume ${volume.name} is in another zone than virtual machine ${vm.name}`,
    )
  if (volume.account_id !== vm.account_id)
    throw new Problem(
      'refused',
      'other-account',
      `Volume ${volume.name} belongs to another account than virtual machine ${vm.name}`,
    )
}

async function placeIn(
  tx: RecordContext<AttachVolume, object>['tx'],
  vm: Vm,
  wanted: number | null,
  highest: number,
): Promise<number> {
  if (wanted === 0 && vm.state !== 'Stopped')
    throw new Problem(
      'refused',
      'root-of-running',
      `Virtual machine ${vm.name} is ${vm.state}; its root disk (deviceid 0) changes only while it is Stopped`,
    )
  const taken = (await volumesOf(tx, vm.id)).map(({ device_id }) => device_id)
  const [most, data] = [await mostDataVolumes(tx, vm.hypervisor), taken.filter(each => each !== 0).length]
  if (wanted !== 0 && data >= most)
    throw new Problem(
      'refused',
      'data-volumes-full',
      `Virtual machine ${vm.name} has ${data} data volumes, and its hypervisor is let have ${most} (listHypervisorCapabilities)`,
    )
  const place = choosePlace(taken, highest, wanted)
  if ('refusal' in place) throw new Problem('refused', 'no-device-id', `Virtual machine ${vm.name} ${place.refusal}`)
  return place.deviceId
}

async function giveBack({ tx, input, made }: RecordContext<AttachVolume, object>): Promise<void> {
  const { begin: begun } = made as { begin: Begun }
  const before = { vm_id: null, device_id: null, type: begun.type, pool_id: begun.pool }
  const isNew = begun.from !== 'Ready'
  await moveVolume(tx, input.volume, 'OperationFailed', { ...before, ...(isNew && { layer_id: null }) })
  if (isNew) await forgetLayer(tx, input.layer)
}

async function makeDisk(context: StepContext<AttachVolume, { begin: Begun }>): Promise<LayerFacts | null> {
  const { db, driver, input, made, progress, signal } = context
  if (driver.forest) {
    const { size_bytes } = await db
      .selectFrom('volume')
      .select('size_bytes')
      .where('id', '=', input.volume)
      .executeTakeFirstOrThrow()
    await driver.forest.devices.makeDisk(await keptDisk(db, input.volume), size_bytes)
    return null
  }
  const [layer, { number }, volume] = await Promise.all([
    layerRef(db, input.layer),
    accountOfVm(db, input.vm),
    db.selectFrom('volume').selectAll().where('id', '=', input.volume).executeTakeFirstOrThrow(),
  ])
  const owner = { accountNumber: number }
  if (made.begin.from === 'Allocated') return driver.layers.blank(layer, volume.size_bytes, owner)
  const file = await uploadedFile(db, volume.id)
  if (!file) throw new Problem('unavailable', 'upload-missing', `The uploaded file of volume ${volume.name} is gone`)
  return driver.layers.seed(layer, file, formatOf(volume), owner, progress, signal)
}

function formatOf({ format }: Row<'volume'>) {
  return (format ?? 'QCOW2').toLowerCase() as ImageFacts['format']
}

async function publish(
  { tx, input, jobs, job }: RecordContext<AttachVolume, object>,
  facts: LayerFacts | null,
  disk: DiskFacts | null,
): Promise<void> {
  const size = disk ? kept(input.volume, disk) : facts && { size_bytes: facts.virtualBytes }
  if (facts) await publishLayer(tx, input.layer, facts)
  const volume = await moveVolume(tx, input.volume, 'OperationSucceeded', { ...size, attached: new Date() })
  await letGoOfUpload(tx, volume, jobs, originOf(job))
  if (volume.device_id !== 0) return
  const chain = await layerChain(tx, volume.layer_id ?? input.layer)
  await setCloneType(tx, input.vm, chain.length > 1 ? 'linked' : 'full')
}
