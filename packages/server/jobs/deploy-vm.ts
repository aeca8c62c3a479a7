// Deploys a machine from a template or a VM snapshot, or as a clone of another: room on a host and a pool, the copy there that its root disk
// is made from, its disks (deploy-disks.ts), its data volumes if wanted (deploy-data.ts), and its process. A VM snapshot fixes the pool
// (snapshot-source.ts), and so does the machine that is cloned (clone-node.ts), of which an instant clone has the memory too.
// The record of the machine was made by the call; if anything fails, everything made here goes and the machine
// stays in Error with the reason.
import { identityProblems } from '@ramet/core/identity.ts'
import { type CloneType, decideCloneType, fullCloneSetting } from '@ramet/core/clone-type.ts'
import type { ForkId, LayerId, StoragePoolId, TemplateId, VmId } from '@ramet/core/ids.ts'
import type { MachineFacts } from '../drivers/driver.ts'
import { recordEvent } from '../store/events.ts'
import { storageTagsOf } from '../store/capacity.ts'
import type { Tx } from '../store/database.ts'
import { holdVm, moveVm, setVm, vmLock } from '../store/vms.ts'
import { setVolume } from '../store/volumes.ts'
import { changeCards } from './change-cards.ts'
import { copyOfRoot, type ClonedDisk, type CloneNode, untilMade } from './clone-node.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'
import { type DataVolume, dropData } from './deploy-data.ts'
import { makeDisks, publishDisks, reserveDisks, unmakeDisks, unreserveDisks } from './deploy-disks.ts'
import { copiesOf, diskDemand, emptyOnEach, type PoolCopy } from './disk-demand.ts'
import { leaveFork } from './drop-fork.ts'
import { countedMemory, runClone } from './run-clone.ts'
import { seedOnPool } from './seed-on-pool.ts'
import { baseOfSnapshot, type SnapshotSource } from './snapshot-source.ts'
import { templateOnPool } from './template-on-pool.ts'
import { originOf } from './tools.ts'
import { choosePlace, noteRunning, runMachine, type Where } from './vm-steps.ts'

export interface DeployVm extends Where {
  readonly vm: VmId
  /** Null: the root disk is that of `vmSnapshot`; without that it begins empty, for an ISO to be installed on. */
  readonly template: TemplateId | null
  readonly vmSnapshot?: SnapshotSource
  /** It is a clone, with all disks of this node. */
  readonly node?: CloneNode
  /** Volumes of the machine and the layers to be made for them, root first. */
  readonly disks: readonly ClonedDisk[]
  /** Data volumes of the VM snapshot, which other jobs make. */
  readonly data?: readonly DataVolume[]
  readonly start: boolean
  /** A password is made for the guest's administrator. */
  readonly withPassword: boolean
  /** As the call or the service offering asks; null where the pool or the global setting decides. */
  readonly cloneType: CloneType | null
}

export const deployVm = defineJob<DeployVm>({
  kind: 'deploy-vm',
  event: input => (input.node ? 'VM.CLONE' : 'VM.CREATE'),
  doing: 'deploying virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  onLayers: true,
  instance: input => input.vm,
})
  .record('take-place', { do: takePlace, undo: leavePlace })
  .actWhen('cache-template', {
    when: ({ 'take-place': { copy, isBlank, isOfSnapshot } }) => copy === null && !isBlank && !isOfSnapshot,
    do: context => templateOnPool(context, context.input.template as TemplateId, context.made['take-place'].pool),
    undo: nothing('other machines may stand on the copy'),
  })
  .actWhen('seed-snapshot', {
    when: ({ 'take-place': { copy, isOfSnapshot } }) => copy === null && isOfSnapshot === true,
    do: context => seedOnPool(context, context.input.vmSnapshot as SnapshotSource),
    undo: nothing('other machines may stand on the copy'),
  })
  .record('reserve-disks', {
    do: context =>
      reserveDisks(
        context,
        baseOf(context.made['take-place'], context.made['cache-template'] ?? context.made['seed-snapshot']),
      ),
    undo: unreserveDisks,
  })
  .act('make-disks', {
    do: context => makeDisks(context, context.made['take-place'].cloneType, context.made['reserve-disks']),
    undo: unmakeDisks,
  })
  .actWhen('run', {
    when: made => made['take-place'].isToRun,
    do: context => (context.input.node?.goesOn ? runClone(context) : runMachine.do(context)),
    undo: async context => {
      await runMachine.undo(context)
      await context.driver.machines.discard(context.input.vm)
    },
  })
  .record('publish', {
    do: async context => {
      const { 'take-place': place, 'reserve-disks': disks, 'make-disks': facts, run } = context.made
      await publishDisks(context, place.cloneType, disks.base, facts)
      if (run) await publishStart(context, run)
      if (context.input.node) await publishClone(context, context.input.node)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => made['take-place'].told)
  .whenItFails(async context => {
    const { tx, input, problem } = context
    await moveVm(tx, input.vm, 'OperationFailedToError', { error: problem?.message ?? null, host_id: null })
    await dropData(context)
    await leaveFork(context, input.vm, forkIn(input.node))
  })

type Context = RecordContext<DeployVm, object>

interface Place {
  readonly pool: StoragePoolId
  readonly cloneType: CloneType
  /** The layer on the pool that the root disk stands on or is copied from, if it is there already. */
  readonly copy: LayerId | null
  readonly isBlank: boolean
  /** Absent in deployments that an earlier version began. */
  readonly isOfSnapshot?: boolean
  readonly isToRun: boolean
  /** What the caller is told when the job is done. */
  readonly told: { readonly sealedpassword?: string; readonly outcome?: string }
}

/** Told, since whoever clones a running machine expects it as it is now. */
function ofKeptInstant(node: CloneNode | undefined): { outcome?: string } {
  if (!node || !('fork' in node.from) || !node.from.heldAt) return {}
  return { outcome: `as its source was at ${node.from.heldAt}: that instant is kept (instantclone.delta.threshold)` }
}

function baseOf({ pool, cloneType, copy }: Place, made: LayerId | undefined) {
  return { pool, cloneType, layer: copy ?? made ?? null }
}

/** Takes room on a host and names the pool, and writes down, once and for all, how the machine is cloned. */
async function takePlace(context: Context): Promise<Place> {
  const { tx, input, settings } = context
  // Before anything is locked: many wait for one fork, and it may take a moment to make a password.
  if (input.node) await untilMade(tx, input.node)
  const { sealed, hash } = input.withPassword ? await context.passwords.take() : { sealed: undefined, hash: null }
  const vm = await holdVm(tx, input.vm)
  const typeOn = (pool: StoragePoolId) =>
    decideCloneType({
      call: input.template || input.vmSnapshot || input.node ? (input.cloneType ?? undefined) : 'full',
      createFullClone: settings.flag(fullCloneSetting[vm.hypervisor], pool),
    })
  const copies = await copiesFor(tx, input, typeOn)
  const counted = input.node?.goesOn ? countedMemory(settings, vm) : null
  const { host, pool } = await choosePlace(tx, settings, vm.id, {
    cpus: input.start ? vm.cpus : 0,
    memoryMib: input.start ? (counted ?? vm.memory_mib) : 0,
    diskBytes: diskDemand(copies, typeOn),
    zone: vm.zone_id,
    tags: await storageTagsOf(tx, vm.id),
    host: input.host,
    cluster: input.cluster,
    pod: input.pod,
    pool: input.vmSnapshot?.pool ?? input.node?.pool,
  })
  const cloneType = typeOn(pool.id)
  await tx.insertInto('user_vm_clone_setting').values({ vm_id: vm.id, clone_type: cloneType }).execute()
  for (const { volume } of input.disks) await setVolume(tx, volume, { pool_id: pool.id, state: 'Creating' })
  if (input.start)
    await moveVm(tx, vm.id, 'StartRequested', {
      host_id: host.id,
      last_host_id: host.id,
      memory_counted_mib: counted,
      ...(!input.node?.goesOn && { password_hash: hash }), // its guest knows that of its source
    })
  else await setVm(tx, vm.id, { password_hash: hash })
  const copy = copies.find(each => each.pool === pool.id)?.layer ?? null
  const isOfSnapshot = input.vmSnapshot !== undefined
  // A clone's disks need nothing on the pool but its node.
  const isBlank = !input.template && !isOfSnapshot
  const told = { ...(sealed && { sealedpassword: sealed }), ...ofKeptInstant(input.node) }
  return { pool: pool.id, cloneType, copy, isBlank, isOfSnapshot, isToRun: input.start, told }
}

async function copiesFor(
  tx: Tx,
  { template, vmSnapshot, node }: DeployVm,
  typeOn: (pool: StoragePoolId) => CloneType,
): Promise<PoolCopy[]> {
  if (vmSnapshot) return [await baseOfSnapshot(tx, vmSnapshot, typeOn(vmSnapshot.pool))]
  if (node) return [await copyOfRoot(tx, node, typeOn(node.pool))]
  return template ? copiesOf(tx, template) : emptyOnEach(tx)
}

function forkIn(node: CloneNode | undefined): ForkId | null {
  return node && 'fork' in node.from ? node.from.fork : null
}

async function publishClone(context: Context, node: CloneNode): Promise<void> {
  const { tx, input, jobs, job } = context
  await leaveFork(context, input.vm, forkIn(node))
  if (!node.goesOn) return
  await setVm(tx, input.vm, { is_instant: true, customized: false, identity_problems: [identityProblems.notYet] })
  await jobs.start(tx, changeCards, { vm: input.vm }, originOf(job))
}

export async function publishStart(context: RecordContext<DeployVm, object>, facts: MachineFacts): Promise<void> {
  const { tx, input, job } = context
  await noteRunning(context, facts)
  await recordEvent(tx, {
    type: 'VM.START',
    description: `started virtual machine: ${input.vm}`,
    account: job.account_id,
    user: job.user_id,
    resourceType: 'VirtualMachine',
    resource: input.vm,
    startEvent: job.start_event_id,
  })
}

export async function leavePlace({ tx, input }: RecordContext<DeployVm, object>): Promise<void> {
  for (const { volume } of input.disks) await setVolume(tx, volume, { pool_id: null, state: 'Allocated' })
  await tx.deleteFrom('user_vm_clone_setting').where('vm_id', '=', input.vm).execute()
  await moveVm(tx, input.vm, 'OperationFailed', { host_id: null })
}
