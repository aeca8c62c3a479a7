// How each job on clones is brought about, and what its failure must leave (jobs.test.ts).
import assert from 'node:assert/strict'
import { type ForkId, newId, type VmId } from '@ramet/core/ids.ts'
import { insertFork } from '../store/forks.ts'
import { inTransaction } from '../store/database.ts'
import { volumesOf } from '../store/volumes.ts'
import { aClone, cloned } from '../testing/clones.ts'
import { aDeployment, aTemplate, type Lab, quiet, stateOf } from '../testing/lab.ts'
import { aTwoDiskMachine, found, inMind, stop, take, write } from '../testing/vm-snapshots.ts'
import { aMachine, done } from '../testing/volumes.ts'
import { changeCards } from './change-cards.ts'
import type { CloneNode } from './clone-node.ts'
import { cloneVms } from './clone-vms.ts'
import { type DeployVm, deployVm } from './deploy-vm.ts'
import { expungeVm } from './expunge-vm.ts'
import { forkVm } from './fork-vm.ts'
import { freezeVm } from './freeze-vm.ts'
import { removeMemory } from './remove-memory.ts'
import { scenario, type Scenario } from './scenario.ts'
import { without } from './snapshot-scenarios.ts'
import { unfreezeVm } from './unfreeze-vm.ts'

const deployed = ['take-place', 'reserve-disks', 'make-disks', 'run', 'publish']

export const cloneScenarios: readonly Scenario[] = [
  scenario(forkVm, lab => aFork(lab, true), nothingIsLeft),
  without(
    ['cut'],
    scenario(forkVm, lab => aFork(lab, false), nothingIsLeft),
  ),
  scenario(freezeVm, aFreeze, goesOn),
  scenario(unfreezeVm, async lab => ({ vm: await aFrozen(lab) }), 'restores'),
  scenario(removeMemory, aNamelessMemory, 'again'),
  scenario(
    changeCards,
    async lab => ({ vm: await aClone(lab, (await aMachine(lab, 'Running')).vm, 'instant') }),
    'restores',
  ),
  scenario(cloneVms, someClones, 'restores'),
  { ...scenario(deployVm, aCloneOfFrozen, isExpunged), steps: deployed },
  { ...scenario(deployVm, aCloneOfSnapshot, isExpunged), steps: ['reserve-disks', 'run'] },
]

async function aFork(lab: Lab, withMemory: boolean): Promise<{ vm: VmId; fork: ForkId }> {
  const [vm, fork] = [await aTwoDiskMachine(lab), newId<'fork'>()]
  write(lab, vm, 'kept')
  if (!withMemory) await stop(lab, vm)
  await inTransaction(lab.app.db, tx => insertFork(tx, { id: fork, vm_id: vm, with_memory: withMemory }))
  return { vm, fork }
}

/** No clone waits for it, so its record goes too. */
async function nothingIsLeft(lab: Lab, { vm }: { vm: VmId }): Promise<void> {
  await quiet(lab)
  const left = await lab.app.db.selectFrom('fork').select('id').where('vm_id', '=', vm).execute()
  if (left.length > 0) throw new Error('the fork is left')
}

async function aFreeze(lab: Lab): Promise<{ vm: VmId; fork: ForkId }> {
  const vm = await aTwoDiskMachine(lab)
  write(lab, vm, 'kept')
  return { vm, fork: newId<'fork'>() }
}

/** Perhaps on new layers. */
async function goesOn(lab: Lab, input: { vm: VmId; fork: ForkId }): Promise<void> {
  await nothingIsLeft(lab, input)
  assert.equal(await stateOf(lab, input.vm), 'Running')
  assert.deepEqual([...(await found(lab, input.vm)), inMind(lab, input.vm)], ['kept', 'kept', 'kept'])
}

async function aFrozen(lab: Lab): Promise<VmId> {
  const { vm } = await aMachine(lab, 'Running')
  await done(lab, freezeVm, { vm, fork: newId<'fork'>() })
  return vm
}

/** That of a VM snapshot which does not speak of it any more. */
async function aNamelessMemory(lab: Lab) {
  const { vm } = await aMachine(lab, 'Running')
  const snapshot = await take(lab, vm, 'warm', { snapshotmemory: true })
  const { memory_image_id: memory } = await lab.app.db
    .selectFrom('vm_snapshot')
    .select('memory_image_id')
    .where('id', '=', snapshot)
    .executeTakeFirstOrThrow()
  await lab.app.db.updateTable('vm_snapshot').set({ memory_image_id: null }).where('id', '=', snapshot).execute()
  if (!memory) throw new Error('the VM snapshot has no memory')
  return { memory }
}

async function someClones(lab: Lab) {
  const { vm: source } = await aMachine(lab, 'Running')
  const made = await cloned(lab, { virtualmachineid: source, clonetype: 'linked', count: 2 })
  const jobs = await lab.app.db
    .selectFrom('job')
    .select(['id', 'instance_id'])
    .where('kind', '=', 'deploy-vm')
    .where(
      'instance_id',
      'in',
      made.map(({ id }) => id),
    )
    .execute()
  return { source, clones: jobs.map(({ id, instance_id }) => ({ vm: instance_id as VmId, name: '', job: id })) }
}

async function aCloneOfFrozen(lab: Lab): Promise<DeployVm> {
  const vm = await aFrozen(lab)
  const { id: fork } = await lab.app.db
    .selectFrom('fork')
    .select('id')
    .where('vm_id', '=', vm)
    .executeTakeFirstOrThrow()
  return aCloneOf(lab, vm, { fork, job: null })
}

async function aCloneOfSnapshot(lab: Lab): Promise<DeployVm> {
  const { vm } = await aMachine(lab, 'Running')
  return aCloneOf(lab, vm, { vmSnapshot: await take(lab, vm, 'warm', { snapshotmemory: true }) })
}

async function aCloneOf(lab: Lab, source: VmId, from: CloneNode['from']): Promise<DeployVm> {
  const { db } = lab.app
  const { vm, disks, ...asked } = await aDeployment(lab, await aTemplate(lab))
  const [root] = await volumesOf(db, source)
  if (!root?.pool_id) throw new Error('the source has no disk')
  if ('fork' in from) await db.updateTable('vm').set({ fork_id: from.fork }).where('id', '=', vm).execute()
  const { last_host_id: host } = await db
    .selectFrom('vm')
    .select('last_host_id')
    .where('id', '=', source)
    .executeTakeFirstOrThrow()
  const node = { vm: source, pool: root.pool_id, from, goesOn: true }
  return {
    ...asked,
    vm,
    template: null,
    node,
    disks: disks.map(disk => ({ ...disk, of: root.id })),
    cloneType: 'linked',
    ...(host && { host }),
  }
}

async function isExpunged(lab: Lab, { vm }: DeployVm): Promise<void> {
  await done(lab, expungeVm, { vm, evenRunning: true })
}
