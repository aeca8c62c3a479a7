// What a hypervisor is let do, beyond what its hosts have room for. One row a hypervisor, made when a server first drives it.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import { newId } from '@ramet/core/ids.ts'
import type { Driver } from '../drivers/driver.ts'
import type { Db } from './database.ts'
import type { Row } from './tables.ts'

export type HypervisorCapabilities = Row<'hypervisor_capabilities'>

/** What an administrator may change stays; what only the driver knows is written down anew. */
export async function ensureCapabilities(db: Db, { hypervisor, capabilities }: Driver): Promise<void> {
  const { longestChain, consolidateAt, mostDeltas, highestDeviceId } = capabilities
  const chains = { longest_chain: longestChain, consolidate_at: consolidateAt, most_deltas: mostDeltas }
  const max_data_volumes = highestDeviceId - 1 // one place is the CD's
  await db
    .insertInto('hypervisor_capabilities')
    .values({ id: newId(), hypervisor, max_data_volumes, ...chains })
    .onConflict(conflict => conflict.column('hypervisor').doUpdateSet(chains))
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
