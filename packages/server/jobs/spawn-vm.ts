// Deploys a machine where the hypervisor keeps its own disks: room on a host and a pool, a clone that the hypervisor makes of a template
// or a VM snapshot, and its start. It is asked as deploy-vm is, and fails as that does.
import { decideCloneType, fullCloneSetting, type CloneType } from '@ramet/core/clone-type.ts'
import type { HostId, StoragePoolId } from '@ramet/core/ids.ts'
import type { HostRef } from '../drivers/driver.ts'
import type { NodeRef, SpawnFacts } from '../drivers/forest.ts'
import { storageTagsOf } from '../store/capacity.ts'
import type { Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { hostById } from '../store/hosts.ts'
import { poolById } from '../store/pools.ts'
import { activeTemplate } from '../store/templates.ts'
import { holdVm, moveVm, setVm, type Vm, vmLock } from '../store/vms.ts'
import { setVolume, volumesOf } from '../store/volumes.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { type DeployVm, leavePlace, publishStart } from './deploy-vm.ts'
import { forestMachine, forestOf, noteDisks } from './forest-machine.ts'
import { choosePlace, runMachine } from './vm-steps.ts'

export const spawnVm = defineJob<DeployVm>({
  kind: 'spawn-vm',
  event: 'VM.CREATE',
  doing: 'deploying virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('take-place', { do: takePlace, undo: leavePlace })
  .act('spawn', {
    do: spawn,
    undo: ({ driver, input }) => driver.machines.discard(input.vm),
  })
  .actWhen('run', {
    when: made => made['take-place'].isToRun,
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
      if (made.run) await publishStart(context, made.run)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => made['take-place'].told)
  .whenItFails(async ({ tx, input, problem }) => {
    await moveVm(tx, input.vm, 'OperationFailedToError', { error: problem?.message ?? null, host_id: null })
  })

interface Place {
  readonly host: HostId
  readonly pool: StoragePoolId
  readonly cloneType: CloneType
  readonly isToRun: boolean
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
  const { host, pool } = await choosePlace(tx, settings, vm.id, {
    cpus: input.start ? vm.cpus : 0,
    memoryMib: input.start ? vm.memory_mib : 0,
    diskBytes: await bytesOnEach(tx, vm, input, typeOn),
    zone: vm.zone_id,
    tags: await storageTagsOf(tx, vm.id),
    host: input.host,
    cluster: input.cluster,
    pod: input.pod,
    pool: input.vmSnapshot?.pool,
  })
  const cloneType = typeOn(pool.id)
  await tx.insertInto('user_vm_clone_setting').values({ vm_id: vm.id, clone_type: cloneType }).execute()
  for (const { volume } of input.disks) await setVolume(tx, volume, { pool_id: pool.id, state: 'Creating' })
  if (input.start)
    await moveVm(tx, vm.id, 'StartRequested', { host_id: host.id, last_host_id: host.id, password_hash: hash })
  else await setVm(tx, vm.id, { password_hash: hash })
  const told = sealed ? { sealedpassword: sealed } : {}
  return { host: host.id, pool: pool.id, cloneType, isToRun: input.start, told }
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

async function bytesOfSource(tx: Tx, vm: Vm, { template }: DeployVm): Promise<number> {
  if (template) {
    const { physical_bytes, virtual_bytes } = await activeTemplate(tx, template)
    return physical_bytes ?? virtual_bytes ?? 0
  }
  const [root] = await volumesOf(tx, vm.id)
  return root?.size_bytes ?? 0
}

type Acting = StepContext<DeployVm, { readonly 'take-place': Place }>

async function spawn({ db, driver, input, made, progress, signal }: Acting): Promise<SpawnFacts> {
  const { host, pool: poolId, cloneType } = made['take-place']
  const [pool, there, [root]] = await Promise.all([poolById(db, poolId), hostById(db, host), volumesOf(db, input.vm)])
  if (!pool || !there || !root) throw new Error(`the host, pool or root disk of machine ${input.vm} is gone`)
  return forestOf(driver).spawn(
    {
      machine: await forestMachine(db, input.vm, hostRef(there)),
      from: sourceOf(input),
      pool: { id: pool.id, path: pool.path },
      cloneType,
      rootBytes: root.size_bytes,
      disks: [0],
    },
    { progress, signal },
  )
}

function hostRef({ id, name }: HostRef): HostRef {
  return { id, name }
}

function sourceOf({ template, vmSnapshot }: DeployVm): NodeRef {
  if (template) return { kind: 'template', id: template }
  if (!vmSnapshot) throw new Error('a machine is made of a template or a VM snapshot')
  return { kind: 'vm-snapshot', id: vmSnapshot.snapshot, vm: vmSnapshot.vm }
}
