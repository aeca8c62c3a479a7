// Gives an instant clone its own network cards: it runs with those of its source, which have no link, since the guest's memory knows them. They
// are pulled out, and the clone's own are plugged in, which the guest brings up as it does any new card. Where the guest does not let go of
// one, that place stays taken: the job says so and fails, and the clone has its own cards from its next start on.
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { MachineFacts } from '../drivers/driver.ts'
import { nicsOf, vmById, vmLock } from '../store/vms.ts'
import { defineJob, nothing, type StepContext } from './define-job.ts'
import { nicSpec } from './machine-spec.ts'
import { LeaseLost } from '../store/jobs.ts'
import { notePorts } from './vm-steps.ts'

export interface ChangeCards {
  readonly vm: VmId
}

export const changeCards = defineJob<ChangeCards>({
  kind: 'change-cards',
  event: 'NIC.CHANGE',
  doing: 'giving instant clone its own network cards',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => vmLock(input.vm),
  instance: input => input.vm,
})
  .act('pull', {
    do: pull,
    undo: nothing('the cards of its source are of no use to it'),
  })
  .act('plug', {
    do: plug,
    undo: nothing('the cards are its own'),
  })
  .record('note', {
    do: async ({ tx, made }) => {
      for (const facts of made.plug) await notePorts(tx, facts)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(made => ({ outcome: made.pull }))

/** Answers what the guest would not let go of, for people. */
async function pull({ driver, input, signal }: StepContext<ChangeCards, object>): Promise<string> {
  try {
    await driver.machines.pullInheritedNics(input.vm, signal)
    return ''
  } catch (error) {
    if (error instanceof Problem && error.kind === 'unavailable' && !(error instanceof LeaseLost)) return error.message
    throw error
  }
}

async function plug({ db, driver, settings, input }: StepContext<ChangeCards, object>): Promise<MachineFacts[]> {
  const vm = await vmById(db, input.vm)
  const outward = settings.flag('guest.network.outward')
  const facts: MachineFacts[] = []
  for (const nic of await nicsOf(db, input.vm))
    facts.push(await driver.machines.attachNic(input.vm, nicSpec(nic, outward), vm?.name ?? ''))
  return facts
}
