// What a hypervisor is let do, beyond what its hosts have room for. One row a hypervisor, made when a server first drives it.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import { newId } from '@ramet/core/ids.ts'
import type { Db } from './database.ts'
import type { Row } from './tables.ts'

export type HypervisorCapabilities = Row<'hypervisor_capabilities'>

export async function ensureCapabilities(db: Db, hypervisor: Hypervisor, dataVolumes: number): Promise<void> {
  await db
    .insertInto('hypervisor_capabilities')
    .values({ id: newId(), hypervisor, max_data_volumes: dataVolumes })
    .onConflict(conflict => conflict.column('hypervisor').doNothing())
    .execute()
}

/** How many data volumes a machine may have at once. */
export async function mostDataVolumes(db: Db, hypervisor: Hypervisor): Promise<number> {
  const row = await db
    .selectFrom('hypervisor_capabilities')
    .select('max_data_volumes')
    .where('hypervisor', '=', hypervisor)
    .executeTakeFirst()
  return row?.max_data_volumes ?? 6
}
