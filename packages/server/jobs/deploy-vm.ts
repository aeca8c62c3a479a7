// Deploys a machine from a template: room on a host and a pool, the template's copy there, its disks (a linked clone is
// a new layer on that copy, a full clone a flat disk of its own), and its process. The record of the machine was made
// by the call; if anything fails, everything made here goes and the machine stays in Error with the reason.
import { type CloneType, decideCloneType, fullCloneSetting } from '@ramet/core/clone-type.ts'
import type { HostId, LayerId, StoragePoolId, TemplateId, VmId, VolumeId } from '@ramet/core/ids.ts'
import { recordEvent } from '../store/events.ts'
import { forgetLayer, layerChain, layerRef, layerRefIfAny, publishLayer, reserveLayer } from '../store/layers.ts'
import { accountById, holdVm, moveVm, vmById, vmLock } from '../store/vms.ts'
import { setVolume, type Volume, volumesOf } from '../store/volumes.ts'
import type { LayerFacts } from '../drivers/driver.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { diskDemand } from './disk-demand.ts'
import { templateOnPool } from './template-on-pool.ts'
import { choosePlace, noteRunning, runMachine } from './vm-steps.ts'

export interface DeployVm {
  readonly vm: VmId
  readonly template: TemplateId
  /** Volumes of the machine and the layers to be made for them, root first. */
  readonly disks: readonly { readonly volume: VolumeId; readonly layer: LayerId }[]
  readonly start: boolean
  /** A password is made for the guest's administrator. */
  readonly withPassword: boolean
  readonly host?: HostId | undefined
  /** As the call or the service offering asks; null where the pool or the global setting decides. */
  readonly cloneType: CloneType | null
}

export const deployVm = defineJob<DeployVm>({
  kind: 'deploy-vm',
  event: 'VM.CREATE',
  doing: 'deploying virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: true,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .record('accept', {
    do: async ({ tx, input, passwords }) => {
      if (!input.withPassword) return {}
      const { sealed, hash } = await passwords.take()
      await tx.updateTable('vm').set({ password_hash: hash }).where('id', '=', input.vm).execute()
      return { sealedpassword: sealed }
    },
    undo: async ({ tx, input, problem }) => {
      await moveVm(tx, input.vm, 'OperationFailedToError', { error: problem?.message ?? null, host_id: null })
    },
  })
  .record('take-place', { do: takePlace, undo: leavePlace })
  .act('cache-template', {
    do: async context => ({
      layer: await templateOnPool(context, context.input.template, context.made['take-place'].pool),
    }),
    undo: nothing('other machines may stand on the copy'),
  })
  .record('reserve-disks', {
    do: context => reserveDisks(context, context.made['take-place'], context.made['cache-template'].layer),
    undo: async ({ tx, input }) => {
      for (const { volume, layer } of input.disks) {
        await setVolume(tx, volume, { layer_id: null })
        await forgetLayer(tx, layer)
      }
    },
  })
  .act('make-disks', {
    do: context => makeDisks(context, context.made['take-place'].cloneType, context.made['cache-template'].layer),
    undo: async ({ db, driver, input }) => {
      for (const { layer } of input.disks) {
        const ref = await layerRefIfAny(db, layer)
        if (ref) await driver.layers.discard(ref)
      }
    },
  })
  .record('publish-disks', {
    do: async ({ tx, input, made, job }) => {
      for (const [index, { volume, layer }] of input.disks.entries()) {
        await publishLayer(tx, layer, made['make-disks'][index] as LayerFacts)
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
    },
    undo: async ({ tx, input }) => {
      for (const { volume } of input.disks) await setVolume(tx, volume, { state: 'Allocated', attached: null })
    },
  })
  .act('run', {
    do: async context => (context.input.start ? runMachine.do(context) : null),
    undo: async context => {
      await runMachine.undo(context)
      await context.driver.machines.discard(context.input.vm)
    },
  })
  .record('note-running', {
    do: async context => {
      if (context.made.run) await noteRunning(context, context.made.run)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => made.accept)

type Context = RecordContext<DeployVm, object>

interface Place {
  readonly host: HostId
  readonly pool: StoragePoolId
  readonly cloneType: CloneType
}

/** Takes room on a host and names the pool, and writes down, once and for all, how the machine is cloned. */
async function takePlace({ tx, input, settings }: Context): Promise<Place> {
  const vm = await holdVm(tx, input.vm)
  const typeOn = (pool: StoragePoolId) =>
    decideCloneType({
      call: input.cloneType ?? undefined,
      createFullClone: settings.flag(fullCloneSetting[vm.hypervisor], pool),
    })
  const { host, pool } = await choosePlace(tx, settings, {
    cpus: input.start ? vm.cpus : 0,
    memoryMib: input.start ? vm.memory_mib : 0,
    diskBytes: await diskDemand(tx, input.template, typeOn),
    host: input.host,
  })
  const cloneType = typeOn(pool.id)
  await tx.insertInto('user_vm_clone_setting').values({ vm_id: vm.id, clone_type: cloneType }).execute()
  for (const { volume } of input.disks) await setVolume(tx, volume, { pool_id: pool.id, state: 'Creating' })
  if (input.start) await moveVm(tx, vm.id, 'StartRequested', { host_id: host.id })
  return { host: host.id, pool: pool.id, cloneType }
}

async function leavePlace({ tx, input }: Context): Promise<void> {
  for (const { volume } of input.disks) await setVolume(tx, volume, { pool_id: null, state: 'Allocated' })
  await tx.deleteFrom('user_vm_clone_setting').where('vm_id', '=', input.vm).execute()
  await moveVm(tx, input.vm, 'OperationFailed', { host_id: null })
}

async function reserveDisks({ tx, input }: Context, { pool, cloneType }: Place, base: LayerId): Promise<void> {
  const volumes = await volumesOf(tx, input.vm)
  const { account_id } = await holdVm(tx, input.vm)
  const copied = await tx.selectFrom('layer').select('allocated_bytes').where('id', '=', base).executeTakeFirst()
  for (const { volume, layer } of input.disks) {
    const { type, size_bytes } = volumes.find(({ id }) => id === volume) as Volume
    await reserveLayer(tx, {
      id: layer,
      pool,
      parent: type === 'ROOT' && cloneType === 'linked' ? base : null,
      account: account_id,
      virtualBytes: size_bytes,
      expectedBytes: type === 'ROOT' && cloneType === 'full' ? (copied?.allocated_bytes ?? 0) : 0,
    })
    await setVolume(tx, volume, { layer_id: layer })
  }
}

async function makeDisks(
  context: StepContext<DeployVm, object>,
  cloneType: CloneType,
  base: LayerId,
): Promise<LayerFacts[]> {
  const { db, driver, input, job, progress, signal } = context
  const owner = {
    accountNumber: (await accountById(db, (await vmById(db, input.vm))?.account_id ?? job.account_id)).number,
  }
  const template = await layerChain(db, base)
  const volumes = await volumesOf(db, input.vm)
  const facts: LayerFacts[] = []
  for (const { volume, layer } of input.disks) {
    const ref = await layerRef(db, layer)
    const { type, size_bytes: bytes } = volumes.find(({ id }) => id === volume) as Volume
    if (type === 'DATADISK') facts.push(await driver.layers.blank(ref, bytes, owner))
    else if (cloneType === 'linked') facts.push(await driver.layers.fork(ref, template, bytes, owner))
    else facts.push(await driver.layers.copy(ref, template, bytes, owner, progress, signal))
  }
  return facts
}
