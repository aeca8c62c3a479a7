// Deploys a machine where the hypervisor keeps its own disks: room on a host and a pool, a clone that the hypervisor makes of a template,
// a VM snapshot, the seed of one, or a machine, and its start. It is asked as deploy-vm is, and fails as that does.
import { decideCloneType, fullCloneSetting, type CloneType } from '@ramet/core/clone-type.ts'
import type { HostId, LayerId, StoragePoolId } from '@ramet/core/ids.ts'
import type { HostRef } from '../drivers/driver.ts'
import type { Spawn } from '../drivers/forest.ts'
import { standOnNothing } from '../store/clone-sources.ts'
import { storageTagsOf } from '../store/capacity.ts'
import type { Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { hostById } from '../store/hosts.ts'
import { poolById } from '../store/pools.ts'
import { activeTemplate } from '../store/templates.ts'
import { holdVm, moveVm, setVm, type Vm, vmLock } from '../store/vms.ts'
import { setVolume, volumesOf } from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { customizeOf } from './customize.ts'
import { type DeployVm, leavePlace, publishStart } from './deploy-vm.ts'
import { forestMachine, forestOf, noteDisks } from './forest-machine.ts'
import { leaveSeeds, standAsOf, standOnSeed } from './kept-seeds.ts'
import { countedMemory } from './run-clone.ts'
import { seedOnPool } from './seed-on-pool.ts'
import { demandConfig, type SnapshotSource } from './snapshot-source.ts'
import { holdSource, publishInstantClone, type Spawned } from './spawn-clone.ts'
import { originOf } from './tools.ts'
import { choosePlace, runMachine } from './vm-steps.ts'

export const spawnVm = defineJob<DeployVm>({
  kind: 'spawn-vm',
  event: input => (input.node ? 'VM.CLONE' : 'VM.CREATE'),
  doing: 'deploying virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('take-place', {
    do: takePlace,
    undo: async context => {
      await leavePlace(context)
      await standOnNothing(context.tx, context.input.vm)
    },
  })
  .actWhen('seed-snapshot', {
    when: made => made['take-place'].isOnSeed === true,
    do: context => seedOnPool(context, context.input.vmSnapshot as SnapshotSource),
    undo: nothing('other machines may stand on the copy'),
  })
  .record('stand-on', {
    do: async ({ tx, input, made }) => {
      const seed = made['seed-snapshot'] ?? null
      const source = input.node?.vm ?? input.vmSnapshot?.vm
      if (seed) await standOnSeed(tx, input.vm, seed)
      else if (source && made['take-place'].cloneType === 'linked') await standAsOf(tx, input.vm, source)
      return { seed }
    },
    undo: ({ tx, input, jobs, job }) => leaveSeeds(tx, input.vm, jobs, originOf(job)),
  })
  .act('spawn', {
    do: spawn,
    undo: async ({ driver, input, signal }) => {
      await driver.machines.stop(input.vm, 0, signal) // an instant clone runs
      await driver.machines.discard(input.vm)
    },
  })
  .actWhen('run', {
    when: made => made['take-place'].isToRun && !made.spawn.instant,
    do: runMachine.do,
    undo: runMachine.undo,
  })
  .record('publish', {
    do: async context => {
      const { tx, input, made, job } = context
      await noteDisks(tx, input.vm, made.spawn.disks)
      for (const { volume } of input.disks) {
        await setVolume(tx, volume, { state: 'Ready', attached: new Date() })
        await recordEvent(tx, {
          type: 'VOLUME.CREATE',
          description: `created volume ${volume}`,
          account: job.account_id,
          user: job.user_id,
          resourceType: 'Volume',
          resource: volume,
          startEvent: job.start_event_id,
        })
      }
      const facts = made.run ?? made.spawn.instant?.facts
      if (facts) await publishStart(context, facts)
      if (!input.node || !made.spawn.instant) return ''
      return publishInstantClone(context, input.node, made.spawn.instant)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ ...made['take-place'].told, ...(made.publish && { outcome: made.publish }) }))
  .whenItFails(async ({ tx, input, problem }) => {
    await moveVm(tx, input.vm, 'OperationFailedToError', { error: problem?.message ?? null, host_id: null })
  })

interface Place {
  readonly host: HostId
  readonly pool: StoragePoolId
  readonly cloneType: CloneType
  readonly isToRun: boolean
  /** It is to stand on the seed of its VM snapshot. Absent in deployments that an earlier version began. */
  readonly isOnSeed?: boolean
  readonly told: { readonly sealedpassword?: string }
}

type Context = RecordContext<DeployVm, object>

async function takePlace(context: Context): Promise<Place> {
  const { tx, input, settings } = context
  // Before anything is locked: it may take a moment to make one.
  const { sealed, hash } = input.withPassword ? await context.passwords.take() : { sealed: undefined, hash: null }
  const vm = await holdVm(tx, input.vm)
  const typeOn = (pool: StoragePoolId) =>
    decideCloneType({
      call: input.cloneType ?? undefined,
      createFullClone: settings.flag(fullCloneSetting[vm.hypervisor], pool),
    })
  const { node } = input
  const source = node && (await holdSource(tx, vm, node, typeOn(node.pool)))
  const counted = node?.goesOn ? countedMemory(settings, vm) : null
  const { host, pool } = await choosePlace(tx, settings, vm.id, {
    cpus: input.start ? vm.cpus : 0,
    memoryMib: input.start ? (counted ?? vm.memory_mib) : 0,
    diskBytes: await bytesOnEach(tx, vm, input, typeOn),
    zone: vm.zone_id,
    tags: await storageTagsOf(tx, vm.id),
    host: (node?.goesOn && source?.host_id) || input.host,
    cluster: input.cluster,
    pod: input.pod,
    pool: input.vmSnapshot?.pool ?? node?.pool,
  })
  const cloneType = typeOn(pool.id)
  await tx.insertInto('user_vm_clone_setting').values({ vm_id: vm.id, clone_type: cloneType }).execute()
  for (const { volume } of input.disks) await setVolume(tx, volume, { pool_id: pool.id, state: 'Creating' })
  if (input.start)
    await moveVm(tx, vm.id, 'StartRequested', {
      host_id: host.id,
      last_host_id: host.id,
      memory_counted_mib: counted,
      ...(!node?.goesOn && { password_hash: hash }), // its guest knows that of its source
    })
  else await setVm(tx, vm.id, { password_hash: hash })
  const told = sealed ? { sealedpassword: sealed } : {}
  const isOnSeed = input.vmSnapshot?.mode === 'seed' && cloneType === 'linked'
  return { host: host.id, pool: pool.id, cloneType, isToRun: input.start, isOnSeed, told }
}

const deltaBytes = 16 * 2 ** 20

/** What the machine takes at once: a full clone what its source has, a linked one next to nothing. */
async function bytesOnEach(tx: Tx, vm: Vm, input: DeployVm, typeOn: (pool: StoragePoolId) => CloneType) {
  const copied = await bytesOfSource(tx, vm, input)
  const pools = await tx
    .selectFrom('storage_pool')
    .select('id')
    .where('cluster_id', '=', vm.cluster_id as NonNullable<Vm['cluster_id']>)
    .execute()
  return new Map(pools.map(({ id }) => [id, typeOn(id) === 'full' ? copied : deltaBytes]))
}

async function bytesOfSource(tx: Tx, vm: Vm, { template, node }: DeployVm): Promise<number> {
  if (template) {
    const { physical_bytes, virtual_bytes } = await activeTemplate(tx, template)
    return physical_bytes ?? virtual_bytes ?? 0
  }
  const [root, ...data] = await volumesOf(tx, vm.id)
  const copied = node ? data : [] // the others are of a VM snapshot's root disk
  return copied.reduce((sum, { size_bytes }) => sum + size_bytes, root?.size_bytes ?? 0)
}

interface Made {
  readonly 'take-place': Place
  readonly 'stand-on'?: { readonly seed: LayerId | null }
}

async function spawn(context: StepContext<DeployVm, Made>): Promise<Spawned> {
  const { db, driver, input, made, progress, signal } = context
  if (input.vmSnapshot) await demandConfig(context, input.vmSnapshot)
  const { host, pool: poolId, cloneType } = made['take-place']
  const [pool, there, volumes] = await Promise.all([poolById(db, poolId), hostById(db, host), volumesOf(db, input.vm)])
  const [root] = volumes
  if (!pool || !there || !root) throw new Error(`the host, pool or root disk of machine ${input.vm} is gone`)
  const [forest, following] = [forestOf(driver), { progress, signal }]
  const machine = await forestMachine(db, input.vm, hostRef(there))
  const at = { machine, pool: { id: pool.id, path: pool.path } }
  if (input.node?.goesOn) {
    const from = { kind: 'vm', id: input.node.vm } as const
    const { disks, isOfFrozen, unconfirmed, ...facts } = await forest.instant({ ...at, from }, following)
    return { disks, instant: { facts, isOfFrozen, unconfirmed } }
  }
  const disks = volumes.map(({ device_id }) => device_id ?? 0)
  const from = sourceOf(input, cloneType, made['stand-on']?.seed ?? null)
  const sealed = made['take-place'].told.sealedpassword
  const customize = await customizeOf(db, input.vm, () => (sealed ? context.passwords.reveal(sealed) : null))
  return forest.spawn({ ...at, from, cloneType, rootBytes: root.size_bytes, disks, customize }, following)
}

function hostRef({ id, name }: HostRef): HostRef {
  return { id, name }
}

/** A full clone of a VM snapshot is a copy of it, so that nothing is copied twice. */
function sourceOf({ template, vmSnapshot, node }: DeployVm, cloneType: CloneType, seed: LayerId | null): Spawn['from'] {
  if (seed) return { kind: 'seed', id: seed }
  if (template) return { kind: 'template', id: template }
  if (node && 'itself' in node.from) {
    const { fork } = node.from.itself
    if (cloneType === 'full' || !fork) return { kind: 'vm', id: node.vm }
    return { kind: 'fork', id: fork, vm: node.vm }
  }
  if (!vmSnapshot) throw new Error('a machine is made of a template or a VM snapshot')
  return { kind: 'vm-snapshot', id: vmSnapshot.snapshot, vm: vmSnapshot.vm }
}
