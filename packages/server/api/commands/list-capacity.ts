import { type ClusterCapacity, clusterCapacities, type StoreCapacity, storeCapacities } from '../../store/capacities.ts'
import { listCommand } from '../command.ts'
import { choice, flag, id, integer } from '../parameters.ts'
import { pageOfAll } from '../query.ts'
import { type Capacity, capacityView, percentUsed } from '../views/capacity.ts'

const mib = 2 ** 20

export const listCapacity = listCommand({
  name: 'listCapacity',
  description: 'Lists what there is and what is taken of it: by zone, or by pod or cluster where one is named',
  permission: 'admin',
  params: {
    zoneid: id<'zone'>('of a zone'),
    podid: id<'pod'>('of a pod'),
    clusterid: id<'cluster'>('of a cluster'),
    type: integer('of one type', 0, 90),
    sortby: choice('the fullest first', ['usage']),
    fetchlatest: flag('accepted for its clients; it is always the latest'),
  },
  view: capacityView,
  async run({ app, params, page }) {
    const { zoneid, podid, clusterid } = params
    const clusters = (await clusterCapacities(app.db)).filter(
      each =>
        (!zoneid || each.zone === zoneid) &&
        (!podid || each.pod === podid) &&
        (!clusterid || each.cluster === clusterid),
    )
    const stores = podid || clusterid ? [] : await storeCapacities(app.db)
    const factor = app.settings.number('cpu.overprovisioning.factor')
    const level = clusterid ? 'cluster' : podid ? 'pod' : 'zone'
    const groups = Map.groupBy(clusters, each => each[level])
    const all = [...groups.values()].flatMap(group => capacitiesOf(group, level, factor, stores))
    const chosen = all.filter(each => params.type === undefined || each.type === params.type)
    return pageOfAll(params.sortby ? chosen.toSorted((a, b) => percentUsed(b) - percentUsed(a)) : chosen, page)
  },
})

/** One entry for each type, of clusters of one zone, pod, or of one cluster. */
function capacitiesOf(
  group: readonly ClusterCapacity[],
  level: 'zone' | 'pod' | 'cluster',
  factor: number,
  stores: readonly StoreCapacity[],
): Capacity[] {
  const [first] = group as [ClusterCapacity]
  const sum = (what: (each: ClusterCapacity) => number) => group.reduce((total, each) => total + what(each), 0)
  const where = {
    zone: first.zone,
    zoneName: first.zone_name,
    ...(level !== 'zone' && { pod: first.pod, podName: first.pod_name }),
    ...(level === 'cluster' && { cluster: first.cluster, clusterName: first.cluster_name }),
  }
  const entry = (type: number, name: string, total: number, used: number) => ({
    ...where,
    type,
    name,
    total,
    used,
    allocated: used,
  })
  const bytes = sum(each => each.pool_bytes)
  const store = stores.find(each => each.zone === first.zone)
  return [
    entry(0, 'MEMORY', sum(each => each.memory_mib) * mib, sum(each => each.memory_mib_used) * mib),
    entry(
      1,
      'CPU',
      sum(each => each.mhz) * factor,
      sum(each => each.mhz_used),
    ),
    entry(
      2,
      'STORAGE',
      bytes,
      sum(each => each.pool_bytes_used),
    ),
    entry(
      3,
      'STORAGE_ALLOCATED',
      bytes,
      sum(each => each.pool_bytes_allocated),
    ),
    ...(store && level === 'zone' ? [entry(6, 'SECONDARY_STORAGE', store.bytes, store.used)] : []),
    entry(
      90,
      'CPU_CORE',
      sum(each => each.cpus) * factor,
      sum(each => each.cpus_used),
    ),
  ]
}
