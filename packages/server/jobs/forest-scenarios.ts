// How each job where the hypervisor keeps its own disks is brought about, and what its failure must leave (jobs.test.ts). The vCenter is
// a simulated one, added beside the lab's own hosts.
import assert from 'node:assert/strict'
import { type ClusterId, newId, type TemplateId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import { insertVmSnapshot } from '../api/vm-snapshot-call.ts'
import { expungeVm } from './expunge-vm.ts'
import { keptAs, put } from '../drivers/simulated/kept.ts'
import { clusterNetwork } from '../store/foreign-networks.ts'
import { retireSeeds } from '../store/vm-snapshot-seeds.ts'
import { volumesOf } from '../store/volumes.ts'
import { aDeployment, aTemplate, type Lab, quiet, run, stateOf } from '../testing/lab.ts'
import { anAdopted, aVmwareCluster } from '../testing/vcenter.ts'
import { done } from '../testing/volumes.ts'
import { adoptTemplate } from './adopt-template.ts'
import { consolidateVm } from './consolidate-vm.ts'
import { convertVm } from './convert-vm.ts'
import { deleteTemplate } from './delete-template.ts'
import { deleteVmSnapshot } from './delete-vm-snapshot.ts'
import type { DeployVm } from './deploy-vm.ts'
import { snapshotVm } from './snapshot-vm.ts'
import { revertVm } from './revert-vm.ts'
import { removeLayer } from './remove-layer.ts'
import { scenario, type Scenario } from './scenario.ts'
import { type SeedVmSnapshot, seedVmSnapshot } from './seed-vm-snapshot.ts'
import type { SnapshotSource } from './snapshot-source.ts'
import { spawnVm } from './spawn-vm.ts'
import { stopVm } from './stop-vm.ts'

interface Place {
  readonly cluster: ClusterId
  /** Of the simulated vCenter. */
  readonly vcenter: string
  readonly template: TemplateId
}

const places = new WeakMap<Lab, Promise<Place>>()

/** One cluster and one template for all scenarios of a lab. */
function placeIn(lab: Lab): Promise<Place> {
  const known = places.get(lab)
  if (known) return known
  const made = (async () => {
    const { id: cluster, url } = await aVmwareCluster(lab)
    const { host, pathname } = new URL(url)
    return { cluster, vcenter: `${host}${pathname}`, template: await anAdopted(lab, cluster) }
  })()
  places.set(lab, made)
  return made
}

export const forestScenarios: readonly Scenario[] = [
  scenario(
    adoptTemplate,
    anAdoption,
    async (lab, { template }) => void (await done(lab, deleteTemplate, { template })),
  ),
  only(['take-place', 'stand-on', 'spawn', 'run', 'publish'], scenario(spawnVm, aSpawning, isExpunged)),
  only(['seed-snapshot', 'stand-on', 'spawn'], scenario(spawnVm, aSpawningOfSnapshot, isExpungedWithSeed)),
  scenario(seedVmSnapshot, aSeedToMake, 'restores'),
  only(['mark', 'discard', 'forget'], scenario(removeLayer, aSeedThatGoes, 'again')),
  ...(['instant', 'linked', 'full'] as const).map(way =>
    only(
      way === 'instant' ? ['take-place', 'spawn', 'publish'] : ['take-place', 'spawn'],
      scenario(spawnVm, lab => aCloning(lab, way), isExpunged),
    ),
  ),
  scenario(snapshotVm, aFork, leavesOneInError),
  ...[true, false].map(withMemory =>
    only(
      withMemory ? revertVm.steps.map(({ name }) => name) : ['begin', 'revert'],
      scenario(revertVm, lab => aRevert(lab, withMemory), leavesItReady),
    ),
  ),
  only(
    ['prune'],
    scenario(deleteVmSnapshot, async lab => pick(await aRevert(lab, true)), 'again'),
  ),
  only(
    ['shorten'],
    scenario(consolidateVm, async lab => ({ vm: await aDeepOne(lab), evenShared: true }), 'again'),
  ),
  only(
    ['promote'],
    scenario(convertVm, async lab => ({ vm: await aSpawned(lab) }), 'again'),
  ),
]

function only(steps: readonly string[], of: Scenario): Scenario {
  return { ...of, steps }
}

function pick({ vm, snapshot }: { vm: VmId; snapshot: VmSnapshotId }) {
  return { vm, snapshot }
}

/** The record of a template whose inventory has a machine for it. */
async function anAdoption(lab: Lab) {
  const { cluster, vcenter } = await placeIn(lab)
  const template = await aTemplate(lab, {
    cluster_id: cluster,
    hypervisor: 'VMware',
    format: 'OVA',
    download_state: 'NOT_DOWNLOADED',
  })
  const like = [...lab.world.kept.values()].find(each => each.vcenter === vcenter && each.name === 'wiki')
  assert.ok(like)
  put(lab.world, { ...like, foreign: `${template}@${vcenter}`, name: template, as: null })
  return { template, foreign: `/DC/vm/${template}` }
}

async function aSpawning(lab: Lab): Promise<DeployVm> {
  const { cluster, template } = await placeIn(lab)
  const input = await aDeployment(lab, template)
  await lab.app.db
    .updateTable('vm')
    .set({ cluster_id: cluster, hypervisor: 'VMware' })
    .where('id', '=', input.vm)
    .execute()
  const network = await clusterNetwork(lab.app.db, cluster)
  assert.ok(network)
  const inThere = { network_id: network.id, ip_address: null }
  await lab.app.db.updateTable('nic').set(inThere).where('vm_id', '=', input.vm).execute()
  return input
}

/** Of a machine that runs. */
async function aCloning(lab: Lab, way: 'instant' | 'linked' | 'full'): Promise<DeployVm> {
  const source = await aSpawned(lab)
  const { disks, ...asked } = await aSpawning(lab)
  const [root] = await volumesOf(lab.app.db, source)
  if (!root?.pool_id) throw new Error('the source has no disk')
  const fork = way === 'linked' ? newId<'fork'>() : null
  const node = { vm: source, pool: root.pool_id, from: { itself: { fork } }, goesOn: way === 'instant' }
  const of = disks.map(disk => ({ ...disk, of: root.id }))
  return { ...asked, template: null, node, disks: of, cloneType: way === 'full' ? 'full' : 'linked' }
}

/** A machine on whose disks an instant clone stands. */
async function aDeepOne(lab: Lab): Promise<VmId> {
  const input = await aCloning(lab, 'instant')
  await done(lab, spawnVm, input)
  return input.node?.vm as VmId
}

async function isExpunged(lab: Lab, { vm }: { vm: VmId }): Promise<void> {
  assert.equal((await run(lab, expungeVm, { vm, evenRunning: true })).state, 'done')
}

async function aSeedToMake(lab: Lab): Promise<SeedVmSnapshot> {
  const { vm, snapshot } = await aRevert(lab, false)
  const [root] = await volumesOf(lab.app.db, vm)
  assert.ok(root?.pool_id)
  return { vm, snapshot, pool: root.pool_id, layer: newId<'layer'>() }
}

async function aSpawningOfSnapshot(lab: Lab): Promise<DeployVm> {
  const { vm, snapshot, pool } = await aSeedToMake(lab)
  return { ...(await aSpawning(lab)), template: null, vmSnapshot: { vm, snapshot, pool, mode: 'seed' } }
}

/** What it did for others too, the seed, stays until its snapshot goes. */
async function isExpungedWithSeed(lab: Lab, { vm, vmSnapshot }: DeployVm): Promise<void> {
  await isExpunged(lab, { vm })
  await quiet(lab)
  const { snapshot } = vmSnapshot as SnapshotSource
  const layers = await lab.app.db.transaction().execute(tx => retireSeeds(tx, snapshot))
  for (const layer of layers) await done(lab, removeLayer, { layer })
}

async function aSeedThatGoes(lab: Lab) {
  const input = await aSeedToMake(lab)
  await done(lab, seedVmSnapshot, input)
  await lab.app.db.transaction().execute(tx => retireSeeds(tx, input.snapshot))
  return { layer: input.layer }
}

/** A machine that runs. */
export async function aSpawned(lab: Lab): Promise<VmId> {
  const input = await aSpawning(lab)
  await done(lab, spawnVm, input)
  await write(lab, input.vm, 'then')
  return input.vm
}

async function write(lab: Lab, vm: VmId, text: string): Promise<void> {
  const kept = keptAs(lab.world, (await placeIn(lab)).vcenter, vm)
  assert.ok(kept)
  put(lab.world, { ...kept, memory: text, disks: kept.disks.map(disk => ({ ...disk, blocks: { 1: text } })) })
}

async function written(lab: Lab, vm: VmId): Promise<string | undefined> {
  return keptAs(lab.world, (await placeIn(lab)).vcenter, vm)?.disks[0]?.blocks[1]
}

async function aRecord(lab: Lab, vm: VmId, withMemory: boolean): Promise<VmSnapshotId> {
  const snapshot = newId<'vm-snapshot'>()
  const asked = { id: snapshot, vm, displayName: undefined, description: null, withMemory }
  await lab.app.db.transaction().execute(tx => insertVmSnapshot(lab.app, tx, asked))
  return snapshot
}

async function aFork(lab: Lab) {
  const vm = await aSpawned(lab)
  return { vm, snapshot: await aRecord(lab, vm, true), withMemory: true, quiesce: false }
}

async function leavesOneInError(lab: Lab, { vm, snapshot }: Awaited<ReturnType<typeof aFork>>): Promise<void> {
  assert.equal(await written(lab, vm), 'then')
  const { vcenter } = await placeIn(lab)
  assert.deepEqual(keptAs(lab.world, vcenter, vm)?.snapshots, [])
  assert.match((await rowOf(lab, snapshot)).error ?? '', /made to fail/)
  await done(lab, deleteVmSnapshot, { vm, snapshot })
}

async function aRevert(lab: Lab, withMemory: boolean) {
  const vm = await aSpawned(lab)
  const snapshot = await aRecord(lab, vm, withMemory)
  await done(lab, snapshotVm, { vm, snapshot, withMemory, quiesce: false })
  await write(lab, vm, 'now')
  return { vm, snapshot, diskOnly: false, safety: null }
}

/** What was reverted stays so; the machine runs, and the snapshot can be used. */
async function leavesItReady(lab: Lab, { vm, snapshot }: Awaited<ReturnType<typeof aRevert>>): Promise<void> {
  assert.equal((await rowOf(lab, snapshot)).state, 'Ready')
  assert.equal(await stateOf(lab, vm), 'Running')
  assert.equal(keptAs(lab.world, (await placeIn(lab)).vcenter, vm)?.power, 'on')
  await done(lab, stopVm, { vm, forced: true })
}

function rowOf(lab: Lab, id: VmSnapshotId) {
  return lab.app.db.selectFrom('vm_snapshot').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
}
