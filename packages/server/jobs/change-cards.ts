// Gives an instant clone its own network cards: it runs with those of its source, which have no link, since the guest's memory knows them. They
// are pulled out, and the clone's own are plugged in, which the guest brings up as it does any new card. Where the guest does not let go of
// one, that stays at its place without link until the clone boots, and the clone's own card gets a place beside it.
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { MachineFacts } from '../drivers/driver.ts'
import { moveNic } from '../store/nics.ts'
import { nicsOf, vmById, vmLock } from '../store/vms.ts'
import { freePlace } from './add-nic.ts'
import { defineJob, nothing, type RecordContext, type StepContext } from './define-job.ts'
import { nicSpec } from './machine-spec.ts'
import { afterStarts } from './start-turns.ts'
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
    do: ({ driver, input, signal }) => afterStarts(signal, () => driver.machines.pullInheritedNics(input.vm, signal)),
    undo: nothing('the cards of its source are of no use to it'),
  })
  .record('place', {
    do: placeBeside,
    undo: nothing('a card may be at any place'),
  })
  .act('plug', {
    do: plug,
    undo: nothing('the cards are its own'),
  })
  .record('note', {
    do: async ({ tx, made }) => {
      for (const facts of made.plug.facts) await notePorts(tx, facts)
    },
    undo: nothing('nothing follows it'),
  })
  .returning(({ pull, plug: { later } }) => ({ outcome: [...pull.map(keptCard), ...later].join('; ') }))

function keptCard(place: number): string {
  return `the guest keeps card ${place} of its source, which stays there without link until the clone is stopped and started`
}

/** Its own cards get other places than those that its guest keeps taken. */
async function placeBeside({ tx, input, made, driver }: RecordContext<ChangeCards, Pulled>): Promise<void> {
  const vm = await vmById(tx, input.vm)
  const nics = await nicsOf(tx, input.vm)
  if (!vm) return
  const taken = new Set([...nics.map(nic => nic.device_id), ...made.pull])
  for (const { id, device_id } of nics) {
    if (!made.pull.includes(device_id)) continue
    const place = freePlace(vm, taken, driver.capabilities.mostNics)
    taken.add(place)
    await moveNic(tx, id, place)
  }
}

type Pulled = { readonly pull: readonly number[] }

interface Plugged {
  readonly facts: readonly MachineFacts[]
  /** What has no place before the clone boots, for people. */
  readonly later: readonly string[]
}

async function plug({ db, driver, settings, input }: StepContext<ChangeCards, object>): Promise<Plugged> {
  const vm = await vmById(db, input.vm)
  const outward = settings.flag('guest.network.outward')
  const facts: MachineFacts[] = []
  const later: string[] = []
  for (const nic of await nicsOf(db, input.vm))
    try {
      facts.push(await driver.machines.attachNic(input.vm, nicSpec(nic, outward), vm?.name ?? ''))
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'no-free-port')) throw error
      later.push(error.message)
    }
  return { facts, later }
}
