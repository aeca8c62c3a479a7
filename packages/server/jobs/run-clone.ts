// Runs an instant clone: it goes on from the memory of its source, in its turn, and only where the host has what it may come to hold.
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { MachineFacts } from '../drivers/driver.ts'
import type { Settings } from '../settings.ts'
import type { Db } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import { memoryRef } from '../store/memory-images.ts'
import type { StepContext } from './define-job.ts'
import { machineSpec } from './machine-spec.ts'
import { inTurn } from './start-turns.ts'

/** What an instant clone counts on its host: it holds what it writes, and shares the rest. */
export function countedMemory(settings: Settings, { memory_mib }: Pick<Row<'vm'>, 'memory_mib'>): number {
  return Math.ceil((memory_mib * settings.number('instantclone.memory.percent')) / 100)
}

export async function runClone({
  db,
  driver,
  settings,
  input,
  signal,
}: StepContext<{ readonly vm: VmId }, object>): Promise<MachineFacts> {
  const [placed, described] = await Promise.all([
    placedOn(db, input.vm),
    machineSpec(db, input.vm, settings.flag('guest.network.outward')),
  ])
  if (!placed.memory_image_id) throw new Error(`machine ${input.vm} has lost the memory that it was to go on from`)
  const spec = { ...described, memory: await memoryRef(db, placed.memory_image_id), isClone: true }
  return inTurn(placed.id, placed.cpus, signal, async () => {
    const { power } = await driver.machines.facts(input.vm)
    if (power === 'off') demandMemory(placed, countedMemory(settings, placed), await driver.hosts.memory(spec.host))
    return driver.machines.start(spec)
  })
}

function placedOn(db: Db, vm: VmId) {
  return db
    .selectFrom('vm')
    .innerJoin('host', 'host.id', 'vm.host_id')
    .select(['vm.name', 'vm.memory_mib', 'vm.memory_image_id', 'host.id', 'host.name as host', 'host.cpus'])
    .where('vm.id', '=', vm)
    .executeTakeFirstOrThrow()
}

function demandMemory(
  { name, host }: { name: string; host: string },
  neededMib: number,
  { availableBytes }: { availableBytes: number },
): void {
  const free = Math.floor(availableBytes / 2 ** 20)
  if (free >= neededMib) return
  throw new Problem(
    'no-capacity',
    'no-capacity',
    `Host ${host} has ${free} MiB of memory left, and ${name} may come to hold ${neededMib} MiB (instantclone.memory.percent); it would swap. Stop machines there, and ask again`,
  )
}
