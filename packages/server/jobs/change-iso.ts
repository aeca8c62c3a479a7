// Puts an ISO into a machine's CD-ROM drive, and takes it out. The driver first and the record last: so the record says at any
// time what the drive has or had, and what was half done goes back to that. The ISO cannot be deleted while a record names it.
import type { TemplateId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { recordEvent } from '../store/events.ts'
import { activeTemplate } from '../store/templates.ts'
import { demandAction, holdVm, setVm, vmById, vmLock } from '../store/vms.ts'
import { defineJob, type JobBuilder, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { isoRef } from './machine-spec.ts'

export interface DetachIso {
  readonly vm: VmId
  readonly forced: boolean
}

export interface AttachIso extends DetachIso {
  readonly iso: TemplateId
}

const traits = {
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: (input: DetachIso) => vmLock(input.vm),
  instance: (input: DetachIso) => input.vm,
} as const

export const attachIso = withSteps(
  defineJob<AttachIso>({
    ...traits,
    kind: 'attach-iso',
    event: 'ISO.ATTACH',
    doing: 'attaching ISO to virtual machine',
  }),
  ({ input }) => input.iso,
)

export const detachIso = withSteps(
  defineJob<DetachIso>({
    ...traits,
    kind: 'detach-iso',
    event: 'ISO.DETACH',
    doing: 'detaching ISO from virtual machine',
  }),
  () => null,
)

function withSteps<I extends DetachIso>(
  job: JobBuilder<I, object>,
  wanted: (context: { readonly input: I }) => TemplateId | null,
) {
  return job
    .record('check', { do: context => check(context, wanted(context)), undo: nothing('it only looks') })
    .act('change', {
      do: context => change(context, wanted(context)),
      undo: async context => change(context, (await vmById(context.db, context.input.vm))?.iso_id ?? null),
    })
    .record('note', { do: context => note(context, wanted(context)), undo: nothing('nothing follows it') })
}

async function check({ tx, input }: RecordContext<DetachIso, object>, iso: TemplateId | null): Promise<void> {
  const vm = await holdVm(tx, input.vm)
  demandAction(vm, 'changeiso')
  if (iso) await activeTemplate(tx, iso)
  else if (!vm.iso_id) throw new Problem('refused', 'no-iso', `Virtual machine ${vm.name} has no ISO attached`)
}

async function change(
  { db, driver, input, signal }: StepContext<DetachIso, object>,
  iso: TemplateId | null,
): Promise<void> {
  await driver.machines.changeMedium(input.vm, iso && (await isoRef(db, iso)), input.forced, signal)
}

async function note({ tx, input, job }: RecordContext<DetachIso, object>, iso: TemplateId | null): Promise<void> {
  if (iso) await activeTemplate(tx, iso)
  const vm = await setVm(tx, input.vm, { iso_id: iso })
  await recordEvent(tx, {
    type: iso ? 'ISO.ATTACH' : 'ISO.DETACH',
    description: iso ? `attached ISO ${iso} to ${vm.name}` : `detached the ISO of ${vm.name}`,
    account: job.account_id,
    user: job.user_id,
    resourceType: 'VirtualMachine',
    resource: vm.id,
    startEvent: job.start_event_id,
  })
}
