// Makes a volume larger or smaller. A running machine's disk grows under its guest; one that nobody has open may also shrink, when
// that was asked for and no data lie beyond its new end. Until its first attachment a volume is a number only.
import type { DiskOfferingId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Driver, LayerFacts } from '../drivers/driver.ts'
import type { DiskFacts } from '../drivers/forest.ts'
import { layerRef, publishLayer } from '../store/layers.ts'
import { holdRoom } from '../store/limits.ts'
import { demandAction, holdVm, type Vm } from '../store/vms.ts'
import { vmSnapshotsInTheWay } from '../store/vm-snapshots.ts'
import { demandSizeFits } from '../store/volume-pools.ts'
import {
  demandLoose,
  holdVolumeAsAsked,
  moveVolume,
  type OnVolume,
  type Volume,
  volumeLock,
  wrongVolumeState,
} from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { kept } from './forest-machine.ts'
import { diskOf, ownerOf } from './machine-spec.ts'

export interface ResizeVolume extends OnVolume {
  readonly bytes: number
  readonly shrinkOk: boolean
  /** Its disk offering from now on; null: as it is. */
  readonly offering: DiskOfferingId | null
}

export const resizeVolume = defineJob<ResizeVolume>({
  kind: 'resize-volume',
  event: 'VOLUME.RESIZE',
  doing: 'resizing volume',
  instanceType: 'Volume',
  cancellable: false,
  lock: volumeLock,
  instance: input => input.volume,
})
  .record('begin', { do: begin, undo: follow })
  .actWhen('resize', {
    when: made => made.begin.hasDisk,
    do: resize,
    undo: nothing('a disk that grew under its guest cannot shrink; the step before writes down what it is'),
  })
  .record('publish', {
    do: async ({ tx, input, made }) => {
      const { resize: facts } = made
      const volume = await moveVolume(tx, input.volume, 'OperationSucceeded', {
        size_bytes: facts?.virtualBytes ?? input.bytes,
        ...(facts && 'key' in facts && kept(input.volume, facts)),
        ...(input.offering && { disk_offering_id: input.offering }),
      })
      if (facts && volume.layer_id && !('key' in facts)) await publishLayer(tx, volume.layer_id, facts)
    },
    undo: nothing('nothing follows it'),
  })

async function begin({ tx, input, job, driver }: RecordContext<ResizeVolume, object>): Promise<{ hasDisk: boolean }> {
  const vm = input.vm && (await holdVm(tx, input.vm))
  if (vm) demandAction(vm, 'resize')
  const volume = await holdVolumeAsAsked(tx, input)
  if (!vm) await demandLoose(tx, volume, job.id)
  const inTheWay =
    vm && input.bytes !== volume.size_bytes && (await vmSnapshotsInTheWay(tx, vm.id, 'resizing a volume'))
  if (inTheWay) throw new Problem('unsupported', 'resize-with-vm-snapshots', inTheWay)
  if (volume.state !== 'Ready' && volume.state !== 'Allocated') throw wrongVolumeState(volume, 'resizing it')
  if (input.bytes < volume.size_bytes) {
    const ask = `Volume ${volume.name} has ${volume.size_bytes} bytes, and would have ${input.bytes}`
    if (!input.shrinkOk)
      throw new Problem('refused', 'shrink-not-asked', `${ask}; say shrinkok=true to make it smaller`)
    if (vm && vm.state !== 'Stopped') throw new Problem('refused', 'disk-only-grows', `${ask}; stop ${vm.name} first`)
  }
  await demandSizeFits(tx, volume.pool_id ? { pool: volume.pool_id } : { zone: volume.zone_id }, input.bytes)
  await holdRoom(tx, volume.account_id, { primaryBytes: Math.max(0, input.bytes - volume.size_bytes) })
  const hasDisk = volume.layer_id !== null || volume.disk_key !== null
  if (hasDisk) demandResizable(driver, volume, vm, input)
  if (hasDisk) await moveVolume(tx, volume.id, 'ResizeRequested')
  return { hasDisk }
}

async function resize({ db, driver, input }: StepContext<ResizeVolume, object>): Promise<LayerFacts | DiskFacts> {
  if (driver.forest && input.vm) {
    const { device_id } = await db
      .selectFrom('volume')
      .select('device_id')
      .where('id', '=', input.volume)
      .executeTakeFirstOrThrow()
    return driver.forest.devices.growDisk(input.vm, device_id ?? 0, input.bytes)
  }
  const disk = await diskOf(db, input.volume)
  const [tip] = disk.chain.slice(-1)
  if (input.vm && (await driver.machines.growDisk(input.vm, disk, input.bytes))) {
    const facts = tip && (await driver.layers.facts(tip))
    if (facts) return facts
  }
  return driver.layers.resize(disk.chain, input.bytes, await ownerOf(db, input.volume))
}

/** A disk that its hypervisor keeps grows as a machine's, and never shrinks. */
function demandResizable(driver: Driver, { name, size_bytes }: Volume, vm: Vm | null, { bytes }: ResizeVolume): void {
  if (driver.capabilities.disks !== 'machines') return
  if (bytes < size_bytes)
    throw new Problem(
      'unsupported',
      'own-disks',
      `Volume ${name} cannot shrink: its hypervisor keeps the disk, and only lets it grow`,
    )
  if (!vm)
    throw new Problem(
      'unsupported',
      'disk-not-attached',
      `Volume ${name} is attached to no machine; its hypervisor lets disks of machines grow, so attach it first`,
    )
}

/** Back to Ready, with the size that the disk has. */
async function follow({ tx, input, driver }: RecordContext<ResizeVolume, object>): Promise<void> {
  const volume = await holdVolumeAsAsked(tx, input)
  if (driver.forest && input.vm) {
    const disk = (await driver.forest.disks(input.vm))?.find(({ deviceId }) => deviceId === volume.device_id)
    if (volume.state === 'Resizing')
      await moveVolume(tx, volume.id, 'OperationFailed', disk ? kept(volume.id, disk) : {})
    return
  }
  if (!volume.layer_id) return
  const facts = await driver.layers.facts(await layerRef(tx, volume.layer_id))
  await moveVolume(tx, volume.id, 'OperationFailed', facts ? { size_bytes: facts.virtualBytes } : {})
}
