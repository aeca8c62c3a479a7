// Each task that a hypervisor does for one of our machines is an event, at its start and at its end, with the hypervisor's own id of it,
// below the event of the job that asked for it: so both logs can be read side by side.
import type { Drivers } from '../drivers/drivers.ts'
import type { ForeignTask } from '../drivers/forest.ts'
import type { Log } from '../log.ts'
import type { Database } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { jobOn } from '../store/jobs.ts'
import { vmLock } from '../store/vms.ts'

export function watchTasks(db: Database, drivers: Drivers, log: Log): void {
  drivers.onOpen((_, driver) =>
    driver.forest.onTask(task => {
      note(db, task).catch(error => log.warn({ err: error, task: task.id }, 'cannot note a task'))
    }),
  )
}

async function note(db: Database, { id, name, vm, outcome }: ForeignTask): Promise<void> {
  const row = vm && (await db.selectFrom('vm').select(['account_id', 'name']).where('id', '=', vm).executeTakeFirst())
  if (!vm || !row) return
  const job = await jobOn(db, vmLock(vm))
  await recordEvent(db, {
    type: 'VM.TASK',
    level: outcome === null || outcome === 'success' ? 'INFO' : 'ERROR',
    state: outcome === null ? 'Started' : 'Completed',
    description: `${name} of virtual machine ${row.name}, task ${id}${outcome === null ? '' : `: ${outcome}`}`,
    account: row.account_id,
    user: job?.user_id ?? null,
    resourceType: 'VirtualMachine',
    resource: vm,
    startEvent: job?.start_event_id ?? null,
  })
}
