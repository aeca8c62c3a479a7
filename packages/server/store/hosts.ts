// Hosts on disk. What machines occupy of a host is kept in host_load by a trigger, in the transaction that changes a machine.
import { hostAfter, type HostEvent, hostRefusal } from '@ramet/core/host.ts'
import type { HostId, Id, StoragePoolId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { occupyingStates } from '@ramet/core/vm.ts'
import type { HostFacts, HostRef } from '../drivers/driver.ts'
import type { Db, Tx } from './database.ts'
import type { Row } from './tables.ts'

export type Host = Row<'host'>

/** Jobs on one host run one at a time; this is their key. */
export function hostLock(host: HostId): string {
  return `host:${host}`
}

export async function hostById(db: Db, id: HostId): Promise<Host | undefined> {
  return db.selectFrom('host').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Where the machine runs or is about to, as the driver wants it named. */
export async function hostOfVm(db: Db, vm: VmId): Promise<HostRef | undefined> {
  return db
    .selectFrom('host')
    .innerJoin('vm', 'vm.host_id', 'host.id')
    .select(['host.id', 'host.name'])
    .where('vm.id', '=', vm)
    .executeTakeFirst()
}

/** A host that reaches the pool and takes work: that on which the machine was last, if it can be. */
export async function hostNear(db: Db, pool: StoragePoolId, vm: VmId): Promise<HostRef> {
  const found = await db
    .selectFrom('host')
    .innerJoin('storage_pool as p', 'p.cluster_id', 'host.cluster_id')
    .leftJoin('vm', join => join.onRef('vm.last_host_id', '=', 'host.id').on('vm.id', '=', vm))
    .select(['host.id', 'host.name'])
    .where('p.id', '=', pool)
    .where('host.state', '=', 'Up')
    .where('host.resource_state', '=', 'Enabled')
    .orderBy('vm.id', order => order.asc().nullsLast())
    .orderBy('host.id')
    .executeTakeFirst()
  if (!found) throw new Problem('no-capacity', 'no-capacity', 'No host that reaches the storage pool is Up and Enabled')
  return found
}

/** The host's row, locked until the transaction ends. */
export async function holdHost(tx: Tx, id: HostId): Promise<Host | undefined> {
  return tx.selectFrom('host').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

export interface NewHost extends HostRef {
  readonly address: string
  readonly cluster: Id<'cluster'>
}

export async function insertHost(tx: Tx, { id, name, address, cluster }: NewHost, facts: HostFacts): Promise<void> {
  await tx
    .insertInto('host')
    .values({ id, cluster_id: cluster, name, address, state: 'Up', ...columnsOf(facts), last_pinged: new Date() })
    .execute()
}

/** Makes the move `event` of core/host.ts, or throws when the host's state has no such move. */
export async function moveHost(tx: Tx, id: HostId, event: HostEvent): Promise<Host> {
  const host = await holdHost(tx, id)
  if (!host) throw new Problem('invalid', 'unknown-id', `There is no host ${id}`)
  const state = hostAfter(host.resource_state, event)
  if (!state)
    throw new Problem(
      'refused',
      'wrong-host-state',
      hostRefusal({ name: host.name, state: host.resource_state }, event),
    )
  return tx
    .updateTable('host')
    .set({ resource_state: state })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Machines that run there, are about to, or are on their way to it. */
export async function machinesOn(db: Db, host: HostId): Promise<Row<'vm'>[]> {
  return db
    .selectFrom('vm')
    .selectAll()
    .where('removed', 'is', null)
    .where('state', 'in', [...occupyingStates])
    .where(eb => eb.or([eb('host_id', '=', host), eb('target_host_id', '=', host)]))
    .orderBy('number')
    .execute()
}

/** What the driver says of a host, as its row keeps it. */
export function columnsOf(facts: HostFacts) {
  return {
    hypervisor_version: facts.hypervisorVersion,
    acceleration: facts.acceleration,
    arch: facts.arch,
    cpus: facts.cpus,
    cpu_mhz: facts.cpuMhz,
    memory_mib: facts.memoryMib,
    networks: facts.networks,
  }
}
