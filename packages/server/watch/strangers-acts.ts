// What somebody else does to machines of ours by the hypervisor's own means: VM snapshots that are taken or removed there, or the machine
// itself. It is noted with the machine, and an event says it once. Machines that a job works on are looked at when it has ended.
import type { ClusterId, VmId } from '@ramet/core/ids.ts'
import type { ForestDriver } from '../drivers/drivers.ts'
import type { ForeignInventory, SnapshotFacts } from '../drivers/forest.ts'
import type { Database, Db, Tx } from '../store/database.ts'
import { recordEvents } from '../store/events.ts'
import { jobOn } from '../store/jobs.ts'
import type { VmSnapshot } from '../store/vm-snapshots.ts'
import { setVm, type Vm, vmLock } from '../store/vms.ts'

/** False when machines are left that jobs work on. */
export async function noteStrangersActs(
  db: Database,
  cluster: ClusterId,
  { forest }: ForestDriver,
  { machines }: ForeignInventory,
): Promise<boolean> {
  const told = new Map(machines.flatMap(({ vm, ...machine }) => (vm ? [[vm, machine] as const] : [])))
  const known = await snapshotsIn(db, cluster)
  let isDone = true
  for (const { id, inventory_problems: noted } of await machinesIn(db, cluster)) {
    const machine = told.get(id)
    const found = machine ? problemsOf(machine.snapshots, machine.foreignSnapshots, known.get(id) ?? []) : [notThere]
    // What was pushed may be the past: so where it differs, the hypervisor is asked.
    if (found.join() !== noted.join()) isDone = (await look(db, id, () => forest.snapshots(id))) && isDone
  }
  return isDone
}

const notThere = 'it is not in the vCenter any more'

function problemsOf(
  there: readonly (string | null)[],
  strange: readonly string[],
  known: readonly Pick<VmSnapshot, 'id' | 'display_name'>[],
): string[] {
  return [
    ...strange.map(name => `somebody else took the VM snapshot ${name} of it`),
    ...known.flatMap(({ id, display_name: name }) =>
      there.includes(id) ? [] : [`its VM snapshot ${name} is not in the vCenter any more`],
    ),
  ]
}

async function machinesIn(db: Db, cluster: ClusterId): Promise<Pick<Vm, 'id' | 'inventory_problems'>[]> {
  return db
    .selectFrom('vm')
    .select(['id', 'inventory_problems'])
    .where('cluster_id', '=', cluster)
    .where('removed', 'is', null)
    .where('state', 'in', ['Running', 'Stopped', 'Destroyed'])
    .execute()
}

async function snapshotsIn(db: Db, cluster: ClusterId): Promise<Map<VmId, Pick<VmSnapshot, 'id' | 'display_name'>[]>> {
  const rows = await db
    .selectFrom('vm_snapshot as s')
    .innerJoin('vm', 'vm.id', 's.vm_id')
    .select(['s.id', 's.vm_id', 's.display_name'])
    .where('vm.cluster_id', '=', cluster)
    .where('s.state', '=', 'Ready')
    .orderBy('s.created')
    .execute()
  return Map.groupBy(rows, ({ vm_id }) => vm_id)
}

/** False when a job works on it. */
function look(db: Database, id: VmId, ask: () => Promise<readonly SnapshotFacts[] | null>): Promise<boolean> {
  return db.transaction().execute(async tx => {
    const vm = await tx.selectFrom('vm').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
    if (!vm || vm.removed || vm.cluster_id === null) return true
    if (await jobOn(tx, vmLock(id))) return false
    const facts = await ask()
    const there = facts?.map(each => each.id) ?? []
    const strange = facts?.flatMap(each => (each.id === null ? [each.name] : [])) ?? []
    const known = (await snapshotsIn(tx, vm.cluster_id)).get(id) ?? []
    await note(tx, vm, facts ? problemsOf(there, strange, known) : [notThere])
    return true
  })
}

async function note(tx: Tx, vm: Vm, problems: readonly string[]): Promise<void> {
  const before = vm.inventory_problems
  await setVm(tx, vm.id, { inventory_problems: [...problems] })
  const about = {
    type: 'VM.INVENTORY',
    account: vm.account_id,
    resourceType: 'VirtualMachine',
    resource: vm.id,
  } as const
  const news = problems.filter(problem => !before.includes(problem))
  await recordEvents(tx, [
    ...news.map(problem => ({
      ...about,
      level: 'WARN' as const,
      description: `virtual machine ${vm.name}: ${problem}`,
    })),
    ...(before.length > 0 && problems.length === 0
      ? [{ ...about, description: `virtual machine ${vm.name} is in its vCenter as it is here again` }]
      : []),
  ])
}
