// A volume as its machine's disk, whoever keeps it: the server as layers, or the hypervisor as a file that it knows by the volume's id.
import type { VmId, VolumeId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { DataDisk } from '../drivers/forest-devices.ts'
import type { DiskFacts } from '../drivers/forest.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Db } from '../store/database.ts'
import { poolById } from '../store/pools.ts'
import { type Volume, volumeById } from '../store/volumes.ts'
import { diskOf } from './machine-spec.ts'

export interface DiskOfVolume {
  readonly db: Db
  readonly driver: Driver
  readonly signal: AbortSignal
  readonly input: { readonly vm: VmId; readonly volume: VolumeId }
}

/** Facts where the hypervisor keeps the disk. */
export async function attachDisk({ db, driver, input }: DiskOfVolume): Promise<DiskFacts | null> {
  if (driver.forest) {
    const { device_id } = await demandVolume(db, input.volume)
    return driver.forest.devices.attachDisk(input.vm, await keptDisk(db, input.volume), device_id ?? 1)
  }
  await driver.machines.attachDisk(input.vm, await diskOf(db, input.volume))
  return null
}

export async function detachDisk({ db, driver, input, signal }: DiskOfVolume): Promise<void> {
  if (driver.forest) return driver.forest.devices.detachDisk(input.vm, await keptDisk(db, input.volume))
  return driver.machines.detachDisk(input.vm, await diskOf(db, input.volume), signal)
}

export async function keptDisk(db: Db, id: VolumeId): Promise<DataDisk> {
  const { pool_id } = await demandVolume(db, id)
  const pool = pool_id && (await poolById(db, pool_id))
  if (!pool) throw new Problem('unavailable', 'pool-missing', `The storage pool of volume ${id} is gone`)
  return { id, pool: { id: pool.id, path: pool.path } }
}

/** Root disks are parts of their machines there, and so are the data disks of clones. */
export function demandLoosable(driver: Driver, { name, disk_key, id, state }: Volume, deviceId: number | null): void {
  if (driver.capabilities.disks === 'layers') return
  if (state !== 'Allocated' && disk_key !== id)
    throw new Problem(
      'unsupported',
      'own-disks',
      `Volume ${name} is a part of its machine: the hypervisor keeps its own disks, and lets only those come and go that were attached`,
    )
  if (deviceId === 0)
    throw new Problem(
      'unsupported',
      'own-disks',
      `Volume ${name} cannot come or go as a root disk: the hypervisor keeps its own disks, and its machines keep their root disks`,
    )
}

async function demandVolume(db: Db, id: VolumeId): Promise<Volume> {
  const found = await volumeById(db, id)
  if (!found) throw new Problem('invalid', 'unknown-volume', `There is no volume ${id} any more`)
  return found
}
