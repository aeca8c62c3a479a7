// Volumes for tests, in the states that matter, and places to put them.
import assert from 'node:assert/strict'
import { newId, type StoragePoolId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { attachVolume } from '../jobs/attach-volume.ts'
import { deployVm } from '../jobs/deploy-vm.ts'
import { detachVolume } from '../jobs/detach-volume.ts'
import { stopVm } from '../jobs/stop-vm.ts'
import type { Row } from '../store/tables.ts'
import { aDeployment, aTemplate, type Lab, run } from './lab.ts'

export async function aVolume(lab: Lab, set: Partial<Row<'volume'>> = {}): Promise<VolumeId> {
  const { db } = lab.app
  const id = newId<'volume'>()
  const { account_id } = await db.selectFrom('user').select('account_id').executeTakeFirstOrThrow()
  const zone = await db.selectFrom('zone').select('id').orderBy('created').executeTakeFirstOrThrow()
  const fixed = { id, account_id, zone_id: zone.id, name: id, type: 'DATADISK', state: 'Allocated' } as const
  await db
    .insertInto('volume')
    .values({ ...fixed, size_bytes: 2 ** 30, ...set })
    .execute()
  return id
}

export async function aMachine(lab: Lab, state: 'Running' | 'Stopped'): Promise<{ vm: VmId; root: VolumeId }> {
  const input = await aDeployment(lab, await aTemplate(lab))
  await done(lab, deployVm, input)
  if (state === 'Stopped') await done(lab, stopVm, { vm: input.vm, forced: true })
  return { vm: input.vm, root: input.disks[0].volume }
}

export async function anAttached(lab: Lab, state: 'Running' | 'Stopped'): Promise<{ vm: VmId; volume: VolumeId }> {
  const [{ vm }, volume] = [await aMachine(lab, state), await aVolume(lab)]
  await done(lab, attachVolume, { volume, vm, deviceId: null, layer: newId<'layer'>() })
  return { vm, volume }
}

/** A volume that was used, and has a disk. */
export async function aUsed(lab: Lab): Promise<VolumeId> {
  const attached = await anAttached(lab, 'Stopped')
  await done(lab, detachVolume, attached)
  return attached.volume
}

/** The root disk of a linked clone, attached to nothing. */
export async function aLooseRoot(lab: Lab): Promise<VolumeId> {
  const { vm, root } = await aMachine(lab, 'Stopped')
  await done(lab, detachVolume, { vm, volume: root })
  return root
}

/** In a cluster of its own that has no host: nothing is ever placed there by itself. */
export async function aRemotePool(lab: Lab): Promise<StoragePoolId> {
  const { db } = lab.app
  const [pool, cluster] = [newId<'storage-pool'>(), newId<'cluster'>()]
  const pod = await db.selectFrom('pod').select('id').orderBy('created').executeTakeFirstOrThrow()
  await db
    .insertInto('cluster')
    .values({ id: cluster, pod_id: pod.id, name: cluster, hypervisor: 'Simulator' })
    .execute()
  const size = { total_bytes: 2 ** 40, free_bytes: 2 ** 40 }
  await db
    .insertInto('storage_pool')
    .values({ id: pool, cluster_id: cluster, name: pool, path: `/${pool}`, type: 'Filesystem', ...size })
    .execute()
  return pool
}

export async function done<I>(lab: Lab, definition: Parameters<typeof run<I>>[1], input: I): Promise<Row<'job'>> {
  const job = await run(lab, definition, input)
  assert.equal(job.state, 'done', job.problem?.message)
  return job
}
