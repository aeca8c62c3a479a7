// What the commands on one virtual machine have in common: finding it for its owner, and starting its job.
import type { VmId } from '@ramet/core/ids.ts'
import type { App } from '../app.ts'
import type { JobDefinition } from '../jobs/define-job.ts'
import { withTags } from '../store/tags.ts'
import { type ListedVm, listedVm, lineagesOf } from '../store/vm-list.ts'
import type { Row } from '../store/tables.ts'
import { type Vm, vmById } from '../store/vms.ts'
import { type Caller, demandOwned, originOfCall, unknownId } from './caller.ts'
import type { JobResult } from './command.ts'
import { virtualMachineView, type VmOnWire } from './views/virtual-machine.ts'

/** The machine that parameter `id` names, if the caller may use it. */
export async function vmOfCall(app: App, caller: Caller, id: VmId, parameter = 'id'): Promise<Vm> {
  const vm = await demandOwned(app, caller, await vmById(app.db, id), parameter, id)
  if (vm.removed) throw unknownId(parameter, id)
  return vm
}

/** Starts `definition` on a machine the caller may use. */
export async function startVmJob<I extends { vm: VmId }>(
  app: App,
  caller: Caller,
  command: string,
  definition: JobDefinition<I>,
  input: I,
) {
  const vm = await vmOfCall(app, caller, input.vm)
  return { jobid: await app.jobs.start(app.db, definition, { ...input, vm: vm.id }, originOfCall(caller, command)) }
}

/** The machine as it is when the result is asked for, with the password that its deployment made. */
export const vmResult: JobResult<VmOnWire> = {
  view: virtualMachineView,
  read: (app, job) => vmOfJob(app, job),
}

export async function vmOfJob(app: App, job: Row<'job'>): Promise<VmOnWire | undefined> {
  const vm = await listedVm(app.db, job.instance_id as VmId)
  return vm && !vm.removed ? { ...(await withLineage(app, vm)), password: passwordOf(app, job) } : undefined
}

/** The machine as a synchronous command answers it. */
export async function shownVm(app: App, id: VmId): Promise<VmOnWire> {
  return withLineage(app, (await listedVm(app.db, id)) as ListedVm)
}

export async function withLineage(app: App, vm: ListedVm): Promise<VmOnWire> {
  const [tagged = vm] = await withTags(app.db, [vm])
  const tip = vm.root_layer_id
  return tip ? { ...tagged, lineage: (await lineagesOf(app.db, [tip])).get(tip) } : tagged
}

function passwordOf(app: App, { result }: Row<'job'>): string | undefined {
  const sealed = result?.['sealedpassword']
  return typeof sealed === 'string' ? app.passwords.reveal(sealed) : undefined
}
