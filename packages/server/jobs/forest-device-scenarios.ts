// How jobs on cards and data disks are brought about where the hypervisor keeps its own disks, and what their failure must leave.
import assert from 'node:assert/strict'
import { newId, type VmId, type VolumeId } from '@ramet/core/ids.ts'
import { expungeVm } from './expunge-vm.ts'
import type { Lab } from '../testing/lab.ts'
import { aVolume, done } from '../testing/volumes.ts'
import { addNic } from './add-nic.ts'
import { attachVolume } from './attach-volume.ts'
import { destroyVm } from './destroy-vm.ts'
import { detachVolume } from './detach-volume.ts'
import { discardDisk } from './discard-disk.ts'
import { aSpawned } from './forest-scenarios.ts'
import { removeNic } from './remove-nic.ts'
import { resizeVolume } from './resize-volume.ts'
import { scenario, type Scenario } from './scenario.ts'

export const forestDeviceScenarios: readonly Scenario[] = [
  only(attachVolume.steps, scenario(attachVolume, anAttachment, 'restores')),
  only(detachVolume.steps, scenario(detachVolume, anAttached, 'restores')),
  only(
    resizeVolume.steps,
    scenario(resizeVolume, async lab => ({ ...(await anAttached(lab)), ...larger }), 'restores'),
  ),
  scenario(discardDisk, aLoose, 'again'),
  only(addNic.steps, scenario(addNic, anAddition, 'restores')),
  only(removeNic.steps, scenario(removeNic, aSecondNic, 'restores')),
  only(
    [{ name: 'unplug-data' }],
    scenario(destroyVm, async lab => ({ vm: (await anAttached(lab)).vm, forced: true }), 'settles'),
  ),
]

const larger = { bytes: 2 ** 31, shrinkOk: false, offering: null }

function only(steps: readonly { readonly name: string }[], of: Scenario): Scenario {
  return { ...of, steps: steps.map(({ name }) => name) }
}

async function anAttachment(lab: Lab) {
  return { vm: await aSpawned(lab), volume: await aVolume(lab), deviceId: null, layer: newId<'layer'>() }
}

async function anAttached(lab: Lab): Promise<{ vm: VmId; volume: VolumeId }> {
  const { vm, volume, ...about } = await anAttachment(lab)
  await done(lab, attachVolume, { vm, volume, ...about })
  return { vm, volume }
}

/** A disk of a volume that no machine has. */
async function aLoose(lab: Lab) {
  const attached = await anAttached(lab)
  await done(lab, detachVolume, attached)
  await done(lab, expungeVm, { vm: attached.vm, evenRunning: true })
  const { pool_id, path } = await lab.app.db
    .selectFrom('volume')
    .innerJoin('storage_pool', 'storage_pool.id', 'volume.pool_id')
    .select(['volume.pool_id', 'storage_pool.path'])
    .where('volume.id', '=', attached.volume)
    .executeTakeFirstOrThrow()
  assert.ok(pool_id)
  return { volume: attached.volume, pool: { id: pool_id, path } }
}

async function anAddition(lab: Lab) {
  const vm = await aSpawned(lab)
  const network = await lab.app.db
    .selectFrom('network')
    .innerJoin('vm', 'vm.cluster_id', 'network.cluster_id')
    .select('network.id')
    .where('vm.id', '=', vm)
    .where('network.foreign_name', '=', 'lab')
    .executeTakeFirstOrThrow()
  return { vm, network: network.id }
}

async function aSecondNic(lab: Lab) {
  const addition = await anAddition(lab)
  await done(lab, addNic, addition)
  const nics = lab.app.db.selectFrom('nic').select('id').where('vm_id', '=', addition.vm)
  const { id } = await nics.where('network_id', '=', addition.network).executeTakeFirstOrThrow()
  return { vm: addition.vm, nic: id }
}
