// One sort of capacity of a zone, a pod or a cluster, on the wire.
import { integer, long, string, view } from '../view.ts'

export interface Capacity {
  readonly type: number
  readonly name: string
  readonly total: number
  readonly used: number
  readonly allocated: number
  readonly zone: string
  readonly zoneName: string
  readonly pod?: string | undefined
  readonly podName?: string | undefined
  readonly cluster?: string | undefined
  readonly clusterName?: string | undefined
}

/** Never more than two digits behind the point; 0 of nothing is 0. */
export function percentUsed({ total, used }: Pick<Capacity, 'total' | 'used'>): number {
  return total === 0 ? 0 : Math.round((10_000 * used) / total) / 100
}

export const capacityView = view<Capacity>('capacity', {
  type: integer(
    '0 memory, 1 CPU, 2 storage, 3 storage allocated, 6 secondary storage, 90 CPU cores',
    each => each.type,
  ),
  name: string('its name', each => each.name),
  capacitytotal: long('all there is: bytes, MHz or cores', each => each.total),
  capacityused: long('what is in use', each => each.used),
  capacityallocated: long('what was given to machines and disks', each => each.allocated),
  percentused: string('share in use, in percent', each => String(percentUsed(each))),
  zoneid: string('the zone', each => each.zone),
  zonename: string('the name of the zone', each => each.zoneName),
  podid: string('the pod, where one was asked for', each => each.pod),
  podname: string('the name of the pod', each => each.podName),
  clusterid: string('the cluster, where one was asked for', each => each.cluster),
  clustername: string('the name of the cluster', each => each.clusterName),
})
