// How each job on VM snapshots is brought about, and what its failure must leave (jobs.test.ts).
import assert from 'node:assert/strict'
import type { CloneType } from '@ramet/core/clone-type.ts'
import { newId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import type { VmState } from '@ramet/core/vm.ts'
import { aDeployment, aTemplate, type Lab, quiet, stateOf } from '../testing/lab.ts'
import { aTwoDiskMachine, found, setting, take, write } from '../testing/vm-snapshots.ts'
import { aUsed, aVolume, done } from '../testing/volumes.ts'
import { insertVmSnapshot } from '../api/vm-snapshot-call.ts'
import { aLongChain } from '../testing/chains.ts'
import { consolidateVm } from './consolidate-vm.ts'
import { convertVm } from './convert-vm.ts'
import { createVmSnapshot } from './create-vm-snapshot.ts'
import { deleteVmSnapshot } from './delete-vm-snapshot.ts'
import { type DeployVm, deployVm } from './deploy-vm.ts'
import { revertToVmSnapshot } from './revert-to-vm-snapshot.ts'
import { rootOfSnapshot } from '../store/vm-snapshot-seeds.ts'
import { vmLock } from '../store/vms.ts'
import { removeLayer } from './remove-layer.ts'
import { expungeVm } from './expunge-vm.ts'
import { type Volume, volumeById, volumesOf } from '../store/volumes.ts'
import { createSnapshot } from './create-snapshot.ts'
import { createVolumeFromSnapshot, type CreateVolumeFromSnapshot } from './create-volume-from-snapshot.ts'
import { deleteSnapshot } from './delete-snapshot.ts'
import { makeTemplate, type MakeTemplate } from './make-template.ts'
import { revertSnapshot } from './revert-snapshot.ts'
import { scenario, type Scenario } from './scenario.ts'
import { type SeedVmSnapshot, seedVmSnapshot } from './seed-vm-snapshot.ts'
import { stopVm } from './stop-vm.ts'

export const snapshotScenarios: readonly Scenario[] = [
  scenario(createVmSnapshot, lab => aCreation(lab, true), leavesOneInError),
  without(
    ['cut'],
    scenario(createVmSnapshot, lab => aCreation(lab, false), leavesOneInError),
  ),
  scenario(revertToVmSnapshot, lab => aRevert(lab, 'Running', true), leavesItReady('Running')),
  without(
    ['look', 'stop', 'run'],
    scenario(revertToVmSnapshot, lab => aRevert(lab, 'Stopped', false), leavesItReady('Stopped')),
  ),
  without(['prune'], scenario(deleteVmSnapshot, aDeletion, 'again')),
  scenario(removeLayer, aMerge, 'again'),
  without(
    ['promote'],
    scenario(convertVm, async lab => ({ vm: (await aDeletion(lab)).vm }), 'again'),
  ),
  without(['shorten'], scenario(consolidateVm, aConsolidation, 'again')),
  ...[true, false].map(isRunning => {
    const missing = isRunning ? [] : ['fork', 'cut']
    return without(
      missing,
      scenario(createSnapshot, lab => aBackup(lab, isRunning), leavesBackupInError),
    )
  }),
  scenario(deleteSnapshot, async lab => ({ snapshot: (await aSnapshot(lab)).snapshot }), 'again'),
  scenario(revertSnapshot, aSnapshot, 'restores'),
  scenario(
    makeTemplate,
    lab => aMaking(lab, async () => ({ volume: await aUsed(lab), vm: null })),
    leavesTemplateInError,
  ),
  without(
    ['inspect', 'publish'],
    scenario(makeTemplate, lab => aMaking(lab, () => aDiskThen(lab)), leavesTemplateInError),
  ),
  scenario(createVolumeFromSnapshot, lab => aVolumeFrom(lab, () => aDiskThen(lab, 'linked')), leavesNoVolume),
  without(
    ['begin', 'publish'],
    scenario(createVolumeFromSnapshot, lab => aVolumeFrom(lab, () => aDiskThen(lab, 'full')), leavesNoVolume),
  ),
  without(
    ['begin', 'publish'],
    scenario(
      createVolumeFromSnapshot,
      lab => aVolumeFrom(lab, async () => ({ snapshot: (await aSnapshot(lab)).snapshot, reach: null })),
      leavesNoVolume,
    ),
  ),
  scenario(seedVmSnapshot, aSeedToMake, 'restores'),
  {
    ...scenario(deployVm, aDeploymentOfSnapshot, isExpungedWithSeed),
    steps: ['take-place', 'seed-snapshot', 'reserve-disks', 'make-disks'],
  },
  without(
    ['free-ports'],
    scenario(expungeVm, async lab => ({ vm: (await aDeletion(lab)).vm, evenRunning: true }), 'again'),
  ),
]

/** The scenario does without these steps. */
export function without(missing: readonly string[], of: Scenario): Scenario {
  return { ...of, steps: of.definition.steps.map(({ name }) => name).filter(name => !missing.includes(name)) }
}

async function aCreation(lab: Lab, withMemory: boolean) {
  const vm = await aTwoDiskMachine(lab)
  write(lab, vm, 'kept')
  if (!withMemory) await done(lab, stopVm, { vm, forced: true })
  const snapshot = newId<'vm-snapshot'>()
  const asked = { id: snapshot, vm, displayName: undefined, description: null, withMemory }
  await lab.app.db.transaction().execute(tx => insertVmSnapshot(lab.app, tx, asked))
  return { vm, snapshot, withMemory, quiesce: true }
}

/** The machine is as it was, and nothing is left but the record that tells why; which can be deleted. */
async function leavesOneInError(lab: Lab, input: Awaited<ReturnType<typeof aCreation>>): Promise<void> {
  assert.deepEqual(await found(lab, input.vm), ['kept', 'kept'])
  const { state, error } = await rowOf(lab, input.snapshot)
  assert.equal(state, 'Error')
  assert.match(error ?? '', /made to fail/)
  await done(lab, deleteVmSnapshot, { vm: input.vm, snapshot: input.snapshot })
}

async function aRevert(lab: Lab, state: VmState, withMemory: boolean) {
  const vm = await aTwoDiskMachine(lab)
  write(lab, vm, 'then')
  const snapshot = await take(lab, vm, 'then', { snapshotmemory: withMemory })
  write(lab, vm, 'now')
  if (state === 'Stopped') await done(lab, stopVm, { vm, forced: true })
  return { vm, snapshot, diskOnly: false, safety: null }
}

/** The machine has all that it had, and runs if it ran; the snapshot can be reverted to still. */
function leavesItReady(state: VmState) {
  return async (lab: Lab, { vm, snapshot }: Awaited<ReturnType<typeof aRevert>>): Promise<void> => {
    assert.deepEqual(await found(lab, vm), ['now', 'now'])
    assert.equal((await rowOf(lab, snapshot)).state, 'Ready')
    assert.equal(await stateOf(lab, vm), state)
    assert.equal(lab.world.machines.get(vm)?.power === 'on', state === 'Running')
    // So that nothing of this machine is left to compare.
    await done(lab, stopVm, { vm, forced: true })
  }
}

async function aDeletion(lab: Lab): Promise<{ vm: VmId; snapshot: VmSnapshotId }> {
  const vm = await aTwoDiskMachine(lab)
  write(lab, vm, 'then')
  const snapshot = await take(lab, vm, 'then', { snapshotmemory: true })
  write(lab, vm, 'now')
  return { vm, snapshot }
}

async function aSeedToMake(lab: Lab): Promise<SeedVmSnapshot> {
  const { vm, snapshot } = await aDeletion(lab)
  const root = await rootOfSnapshot(lab.app.db, snapshot)
  assert.ok(root)
  return { vm, snapshot, pool: root.pool, layer: newId<'layer'>() }
}

async function aDeploymentOfSnapshot(lab: Lab): Promise<DeployVm> {
  const { vm, snapshot, pool } = await aSeedToMake(lab)
  const asked = await aDeployment(lab, await aTemplate(lab))
  return { ...asked, template: null, vmSnapshot: { vm, snapshot, pool, mode: 'seed' } }
}

/** What it did for others too, the seed, stays until its snapshot goes. */
async function isExpungedWithSeed(lab: Lab, { vm, vmSnapshot }: DeployVm): Promise<void> {
  await done(lab, expungeVm, { vm, evenRunning: true })
  await quiet(lab)
  const seeds = await lab.app.db
    .updateTable('vmsnapshot_spool_ref')
    .set({ state: 'Destroying' })
    .where('vm_snapshot_id', '=', vmSnapshot?.snapshot as VmSnapshotId)
    .returning('id')
    .execute()
  for (const { id } of seeds) await done(lab, removeLayer, { layer: id })
}

/** A layer that lost its last name and carries one other, under a running machine. */
async function aMerge(lab: Lab) {
  const { vm, snapshot } = await aDeletion(lab)
  const { db } = lab.app
  const [disk] = await db
    .deleteFrom('vm_snapshot_disk')
    .where('snapshot_id', '=', snapshot)
    .returning('layer_id')
    .execute()
  assert.ok(disk)
  return { layer: disk.layer_id, lock: vmLock(vm) }
}

async function aBackup(lab: Lab, isRunning: boolean) {
  const vm = await aTwoDiskMachine(lab, isRunning ? 'Running' : 'Stopped')
  const [volume] = await volumesOf(lab.app.db, vm)
  assert.ok(volume)
  const snapshot = await insertSnapshot(lab, volume)
  return { volume: volume.id, vm, snapshot, vmSnapshot: null, quiesce: true }
}

async function insertSnapshot(lab: Lab, volume: Volume) {
  const { db } = lab.app
  const id = newId<'snapshot'>()
  const store = await db.selectFrom('image_store').select('id').executeTakeFirstOrThrow()
  const { account_id, zone_id, size_bytes: virtual_bytes } = volume
  const of = { account_id, zone_id, volume_id: volume.id, image_store_id: store.id, virtual_bytes }
  const install_path = `snapshots/${id}.qcow2`
  await db
    .insertInto('snapshot')
    .values({ id, ...of, install_path, name: id, state: 'Allocated' })
    .execute()
  return id
}

async function leavesBackupInError(lab: Lab, { snapshot }: Awaited<ReturnType<typeof aBackup>>): Promise<void> {
  const row = await lab.app.db.selectFrom('snapshot').selectAll().where('id', '=', snapshot).executeTakeFirstOrThrow()
  assert.equal(row.state, 'Error')
  assert.match(row.error ?? '', /made to fail/)
  // As it was before, for the comparison.
  await lab.app.db.updateTable('snapshot').set({ state: 'Allocated' }).where('id', '=', snapshot).execute()
}

/** Of a volume that nobody uses. */
async function aSnapshot(lab: Lab) {
  const volume = await volumeById(lab.app.db, await aUsed(lab))
  assert.ok(volume)
  const input = { volume: volume.id, vm: null, snapshot: await insertSnapshot(lab, volume) }
  await done(lab, createSnapshot, { ...input, vmSnapshot: null, quiesce: false })
  return { ...input, layer: newId<'layer'>() }
}

async function aMaking(lab: Lab, source: () => Promise<MakeTemplate['source']>) {
  return { template: await aTemplate(lab, { download_state: 'NOT_DOWNLOADED' }), source: await source() }
}

async function leavesTemplateInError(lab: Lab, { template }: MakeTemplate): Promise<void> {
  const { download_state } = await lab.app.db
    .selectFrom('template')
    .select('download_state')
    .where('id', '=', template)
    .executeTakeFirstOrThrow()
  assert.equal(download_state, 'DOWNLOAD_ERROR')
}

/** The data disk of a running machine, as a VM snapshot has it. */
async function aDiskThen(lab: Lab, cloneType: CloneType | null = null) {
  const { vm, snapshot } = await aDeletion(lab)
  const volume = (await volumesOf(lab.app.db, vm))[1]
  assert.ok(volume)
  return { vmSnapshot: snapshot, vm, volume: volume.id, cloneType }
}

async function aVolumeFrom(lab: Lab, source: () => Promise<CreateVolumeFromSnapshot['source']>) {
  return { source: await source(), volume: await aVolume(lab, { state: 'Creating' }), layer: newId<'layer'>() }
}

async function leavesNoVolume(lab: Lab, { volume }: CreateVolumeFromSnapshot): Promise<void> {
  const { db } = lab.app
  const row = await db.selectFrom('volume').selectAll().where('id', '=', volume).executeTakeFirstOrThrow()
  assert.deepEqual([row.state, row.layer_id], ['Expunged', null])
  assert.ok(row.removed)
  // As it was before, for the comparison.
  await db
    .updateTable('volume')
    .set({ state: 'Creating', removed: null, pool_id: null })
    .where('id', '=', volume)
    .execute()
}

function rowOf(lab: Lab, snapshot: VmSnapshotId) {
  return lab.app.db.selectFrom('vm_snapshot').selectAll().where('id', '=', snapshot).executeTakeFirstOrThrow()
}

/** At full speed. */
async function aConsolidation(lab: Lab) {
  await setting(lab, 'consolidation.mibps', 0)
  return { vm: (await aLongChain(lab, 2)).vm, evenShared: true }
}
