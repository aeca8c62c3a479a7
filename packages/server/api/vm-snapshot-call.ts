// What the commands on VM snapshots have in common: finding one for its owner, judging a new one, the results of their jobs.
import type { VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { jobStatusNumber } from '@ramet/core/job-state.ts'
import { Problem } from '@ramet/core/problem.ts'
import { snapshotsAtWork } from '@ramet/core/snapshot.ts'
import { internalName, type VmSnapshotType } from '@ramet/core/vm-snapshot.ts'
import type { App } from '../app.ts'
import { type CreateVmSnapshot, createVmSnapshot } from '../jobs/create-vm-snapshot.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { snapshotVm } from '../jobs/snapshot-vm.ts'
import type { StartedRemoval } from '../jobs/delete-vm-snapshot.ts'
import { isVmSnapshotEnabled } from '../store/hypervisor.ts'
import type { Tx } from '../store/database.ts'
import { selectVmSnapshots } from '../store/vm-snapshot-list.ts'
import { currentOf, demandNoneAtWork, type VmSnapshot, vmSnapshotById, vmSnapshotsOf } from '../store/vm-snapshots.ts'
import { demandAction, holdVm, type Vm, vmById } from '../store/vms.ts'
import { type Caller, demandOwned, unknownId } from './caller.ts'
import type { JobResult } from './command.ts'
import { selectJobs } from './job-query.ts'
import { type Deletion, deletionView } from './views/deletion.ts'
import { virtualMachineView, type VmOnWire } from './views/virtual-machine.ts'
import { vmSnapshotView, type VmSnapshotOnWire } from './views/vm-snapshot.ts'
import { vmResult } from './vm-call.ts'

/** The VM snapshot that parameter `name` names, if the caller may use it. */
export async function vmSnapshotOfCall(
  app: App,
  caller: Caller,
  id: VmSnapshotId,
  name = 'vmsnapshotid',
): Promise<VmSnapshot> {
  const snapshot = await demandOwned(app, caller, await vmSnapshotById(app.db, id), name, id)
  if (snapshot.removed) throw unknownId(name, id)
  return snapshot
}

/** Throws where the hypervisor keeps the disks of the VM snapshot, so that no layer of ours could be read. */
export async function demandLayersOf(app: App, { vm_id, display_name: name }: VmSnapshot): Promise<void> {
  const vm = await vmById(app.db, vm_id)
  if (!vm || app.capabilitiesOf(vm.cluster_id).disks === 'layers') return
  throw new Problem(
    'unsupported',
    'own-disks',
    `The hypervisor keeps the disks of VM snapshot ${name} itself; make machines of it with deployVirtualMachine vmsnapshotid=…`,
  )
}

export interface NewVmSnapshot {
  readonly id: VmSnapshotId
  readonly vm: VmId
  readonly displayName: string | undefined
  readonly description: string | null
  readonly withMemory: boolean
}

/** The record of a new VM snapshot, Allocated; or why there can be none now. */
export async function insertVmSnapshot(app: App, tx: Tx, asked: NewVmSnapshot): Promise<void> {
  const vm = await holdVm(tx, asked.vm)
  await demandEnabled(app, tx, vm)
  demandAction(vm, 'snapshot')
  if (asked.withMemory) demandMemory(app, vm)
  const taken = new Date()
  const name = internalName(vm.instance_name, taken)
  const displayName = asked.displayName || name
  await demandRoomFor(app, tx, vm, displayName)
  const type: VmSnapshotType = asked.withMemory ? 'DiskAndMemory' : 'Disk'
  const { service_offering_id, cpus, cpu_mhz, memory_mib, account_id } = vm
  await tx
    .insertInto('vm_snapshot')
    .values({
      id: asked.id,
      vm_id: vm.id,
      account_id,
      parent_id: await currentOf(tx, vm.id),
      name,
      display_name: displayName,
      description: asked.description,
      type,
      state: 'Allocated',
      service_offering_id,
      cpus,
      cpu_mhz,
      memory_mib,
      created: taken,
    })
    .execute()
}

/** Who makes it: the server, by new layers, or the hypervisor. */
export function snapshotJobOn(app: App, { cluster_id }: Pick<Vm, 'cluster_id'>): JobDefinition<CreateVmSnapshot> {
  return app.capabilitiesOf(cluster_id).disks === 'machines' ? snapshotVm : createVmSnapshot
}

async function demandEnabled(app: App, tx: Tx, vm: Vm): Promise<void> {
  if (app.capabilitiesOf(vm.cluster_id).vmSnapshot && (await isVmSnapshotEnabled(tx, vm.hypervisor))) return
  throw new Problem(
    'refused',
    'vm-snapshot-disabled',
    `VM snapshots are not enabled for the hypervisor ${vm.hypervisor} (listHypervisorCapabilities, vmsnapshotenabled)`,
  )
}

function demandMemory(app: App, vm: Vm): void {
  const refused = (code: 'memory-of-stopped' | 'no-memory-snapshot', text: string) =>
    code === 'memory-of-stopped'
      ? new Problem('refused', 'memory-of-stopped', text)
      : new Problem('refused', 'no-memory-snapshot', text)
  if (vm.state !== 'Running')
    throw refused(
      'memory-of-stopped',
      `Virtual machine ${vm.name} is ${vm.state}; only a running machine has memory to save. Leave out snapshotmemory`,
    )
  if (!app.capabilitiesOf(vm.cluster_id).memorySnapshot)
    throw refused('no-memory-snapshot', 'The hypervisor cannot save memory. Leave out snapshotmemory')
}

async function demandRoomFor(app: App, tx: Tx, vm: Vm, displayName: string): Promise<void> {
  const others = await vmSnapshotsOf(tx, vm.id)
  if (others.some(({ display_name }) => display_name === displayName))
    throw new Problem(
      'refused',
      'vm-snapshot-name-taken',
      `Virtual machine ${vm.name} has a VM snapshot named ${displayName} already; choose another name`,
    )
  const most = app.settings.number('vmsnapshot.max')
  if (others.length >= most)
    throw new Problem(
      'over-limit',
      'too-many-vm-snapshots',
      `Virtual machine ${vm.name} has ${others.length} VM snapshots, and may have ${most} (vmsnapshot.max), those in Error among them; delete old ones`,
    )
  const other = await tx
    .selectFrom('snapshot')
    .innerJoin('volume', 'volume.id', 'snapshot.volume_id')
    .select('snapshot.name')
    .where('volume.vm_id', '=', vm.id)
    .where('snapshot.removed', 'is', null)
    .where('snapshot.state', 'in', [...snapshotsAtWork])
    .executeTakeFirst()
  if (other)
    throw new Problem(
      'busy',
      'snapshot-at-work',
      `Snapshot ${other.name} of a volume of the machine is being made; wait for its end, and ask again`,
    )
  await demandNoneAtWork(tx, vm.id)
}

export async function listedVmSnapshot(app: App, id: VmSnapshotId): Promise<VmSnapshotOnWire | undefined> {
  const row = await selectVmSnapshots(app.db).where('vm_snapshot.id', '=', id).executeTakeFirst()
  return row && { ...row, most: app.settings.number('vmsnapshot.max') }
}

/** The VM snapshot as it is when the result is asked for. */
export const vmSnapshotResult: JobResult<VmSnapshotOnWire> = {
  view: vmSnapshotView,
  async read(app, job) {
    const snapshot = await listedVmSnapshot(app, job.instance_id as VmSnapshotId)
    return snapshot?.removed ? undefined : snapshot
  },
}

/** The machine of the VM snapshot that the job was about. */
export const vmOfSnapshotResult: JobResult<VmOnWire> = {
  view: virtualMachineView,
  async read(app, job) {
    const snapshot = await vmSnapshotById(app.db, job.instance_id as VmSnapshotId)
    return snapshot && vmResult.read(app, { ...job, instance_id: snapshot.vm_id })
  },
}

/** The deletion of a VM snapshot, with how far it is by now to remove the layers which that freed. */
export const deletionResult: JobResult<Deletion> = {
  view: deletionView,
  isFlat: true,
  async read(app, { result }) {
    const removals = (result?.['removals'] ?? []) as readonly StartedRemoval[]
    const ids = removals.map(({ job }) => job)
    const jobs = ids.length > 0 ? await selectJobs(app.db).where('job.id', 'in', ids).execute() : []
    return {
      removals: removals.map(removal => {
        const job = jobs.find(({ id }) => id === removal.job)
        // One that is forgotten ended long ago.
        return { ...removal, status: job ? jobStatusNumber(job.state) : 1, percent: job?.percent ?? 100 }
      }),
    }
  },
}
