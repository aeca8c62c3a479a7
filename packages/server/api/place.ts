// Where an administrator wants a machine: on one host, or on any of a cluster or pod.
import type { HostId, Id } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { Where } from '../jobs/vm-steps.ts'
import type { SnapshotRoot } from '../store/vm-snapshot-seeds.ts'
import { type Caller, isAdmin, unknownId } from './caller.ts'
import { id, invalid } from './parameters.ts'

export const placeParameters = {
  hostid: id<'host'>('the host; administrators only'),
  clusterid: id<'cluster'>('the cluster of the host; administrators only'),
  podid: id<'pod'>('the pod of the host; administrators only'),
}

interface Asked {
  readonly hostid: HostId | undefined
  readonly clusterid: Id<'cluster'> | undefined
  readonly podid: Id<'pod'> | undefined
}

export async function chosenPlace({ db }: App, caller: Caller, asked: Asked): Promise<Where> {
  const named = (['hostid', 'clusterid', 'podid'] as const).filter(name => asked[name] !== undefined)
  if (named.length > 0 && !isAdmin(caller))
    throw new Problem('forbidden', 'host-choice', `Only administrators choose a host; leave ${named.join(' and ')} out`)
  for (const name of named) {
    const table = ({ hostid: 'host', clusterid: 'cluster', podid: 'pod' } as const)[name]
    const row = await db
      .selectFrom(table)
      .select('id')
      .where('id', '=', asked[name] as never)
      .executeTakeFirst()
    if (!row) throw unknownId(name, asked[name] as string)
  }
  return { host: asked.hostid, cluster: asked.clusterid, pod: asked.podid }
}

/** Throws where none of the hosts that `where` leaves reaches the storage, which is one of its cluster's. */
export async function demandReach({ db }: App, where: Where, storage: Reached): Promise<void> {
  const cluster = await db
    .selectFrom('cluster')
    .leftJoin('host', join => join.onRef('host.cluster_id', '=', 'cluster.id').on('host.id', '=', where.host ?? null))
    .select(['cluster.id', 'pod_id', 'host.id as host'])
    .where('cluster.id', '=', storage.cluster)
    .executeTakeFirstOrThrow()
  const reason = `names none that reaches storage pool ${storage.poolName}, where the disk of VM snapshot ${storage.snapshotName} is; leave it out`
  if (where.host && !cluster.host) throw invalid('hostid', reason)
  if (where.cluster && where.cluster !== cluster.id) throw invalid('clusterid', reason)
  if (where.pod && where.pod !== cluster.pod_id) throw invalid('podid', reason)
}

type Reached = Pick<SnapshotRoot, 'cluster' | 'poolName' | 'snapshotName'>

/** Filters of lists by what users are not shown: they would find it out by asking for each host. */
export function refuseForUsers<P extends object>(
  caller: Caller,
  params: P,
  filters: readonly (keyof P & string)[],
): void {
  const named = filters.find(name => params[name] !== undefined)
  if (named !== undefined && !isAdmin(caller)) throw invalid(named, 'is for administrators; leave it out')
}
