// Whose disks a machine stands on, where the hypervisor keeps them: those of the machine that it was cloned of, and what these stood on
// then. It is written down before the clone is made, and forgotten when it has disks of its own or is gone; until then no source goes.
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { Tx } from './database.ts'
import type { Vm } from './vms.ts'

export async function standOn(tx: Tx, vm: VmId, source: VmId): Promise<void> {
  await sql`
    insert into clone_source (vm_id, source_id)
    select ${vm}::uuid, ${source}::uuid union select ${vm}::uuid, source_id from clone_source where vm_id = ${source}
    on conflict do nothing`.execute(tx)
}

export async function standOnNothing(tx: Tx, vm: VmId): Promise<void> {
  await tx.deleteFrom('clone_source').where('vm_id', '=', vm).execute()
}

/** Throws while machines stand on its disks. */
export async function demandNoneStandsOn(tx: Tx, { id, name }: Pick<Vm, 'id' | 'name'>): Promise<void> {
  const clones = await tx
    .selectFrom('clone_source')
    .innerJoin('vm', 'vm.id', 'clone_source.vm_id')
    .select('vm.name')
    .where('clone_source.source_id', '=', id)
    .orderBy('vm.number')
    .execute()
  if (clones.length === 0) return
  const names = clones.slice(0, 10).map(clone => clone.name)
  const shown = [...names, ...(clones.length > names.length ? ['…'] : [])].join(', ')
  throw new Problem(
    'in-use',
    'source-has-clones',
    `${clones.length} ${clones.length === 1 ? 'machine stands' : 'machines stand'} on the disks of virtual machine ${name} (${shown}); expunge them, or give them disks of their own with convertVirtualMachineToFullClone, first`,
  )
}
