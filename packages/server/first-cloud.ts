// What the first start makes of hosts and storage: one pod with one cluster for the machine that the server runs on, or as much
// of a simulated cloud as was asked for. The plan is plain data; bootstrap.ts writes it down.
import { hostname } from 'node:os'
import { newId } from '@ramet/core/ids.ts'
import type { Config } from './config.ts'
import type { Driver, HostRef, PoolRef } from './drivers/driver.ts'
import { insertHost } from './store/hosts.ts'
import type { Tx } from './store/database.ts'
import type { Row } from './store/tables.ts'

export interface PlannedCluster {
  readonly name: string
  readonly pool: PoolRef & { readonly name: string; readonly type: string }
  readonly hosts: readonly (HostRef & { readonly address: string })[]
}

export interface PlannedPod {
  readonly name: string
  readonly clusters: readonly PlannedCluster[]
}

const hostsInCluster = 16
const clustersInPod = 4

/** `primary` is the pool of the server's own machine; a simulated cloud has others. */
export function planCloud({ simulate }: Pick<Config, 'simulate'>, primary: PoolRef): PlannedPod[] {
  if (simulate !== null) return planSimulated(simulate)
  const pool = { ...primary, name: 'primary1', type: 'Filesystem' }
  const host = { id: newId<'host'>(), name: hostname(), address: '127.0.0.1' }
  return [{ name: 'pod1', clusters: [{ name: 'cluster1', pool, hosts: [host] }] }]
}

/** Clusters of up to 16 hosts with a primary storage each, and pods of up to 4 clusters. */
function planSimulated(count: number): PlannedPod[] {
  const hosts = upTo(count).map(number => ({
    id: newId<'host'>(),
    name: `sim-${number}`,
    address: `10.255.${number >> 8}.${number & 255}`,
  }))
  const clusters = inGroups(hosts, hostsInCluster).map((group, index) => ({
    name: `cluster${index + 1}`,
    pool: {
      id: newId<'storage-pool'>(),
      name: `primary${index + 1}`,
      type: 'NetworkFilesystem',
      path: `/simulated/primary${index + 1}`,
    },
    hosts: group,
  }))
  return inGroups(clusters, clustersInPod).map((group, index) => ({ name: `pod${index + 1}`, clusters: group }))
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}

function inGroups<T>(items: readonly T[], size: number): T[][] {
  return upTo(Math.ceil(items.length / size)).map(group => items.slice((group - 1) * size, group * size))
}

/** Everything that must be asked of the driver before the plan is written down in one transaction. */
export async function prepareCloud(driver: Driver, pods: readonly PlannedPod[]) {
  const clusters = pods.flatMap(pod => pod.clusters)
  for (const { pool } of clusters) await driver.pools.prepare(pool)
  const facts = await Promise.all(clusters.flatMap(({ hosts }) => hosts).map(host => driver.hosts.facts(host)))
  const spaces = await Promise.all(clusters.map(({ pool }) => driver.pools.space(pool)))
  return { facts, spaces }
}

export async function makeCloud(
  tx: Tx,
  driver: Driver,
  zone: Row<'zone'>['id'],
  pods: readonly PlannedPod[],
  { facts, spaces }: Awaited<ReturnType<typeof prepareCloud>>,
): Promise<void> {
  const ofHosts = facts.values()
  const ofPools = spaces.values()
  for (const { name, clusters } of pods) {
    const pod = newId<'pod'>()
    await tx.insertInto('pod').values({ id: pod, zone_id: zone, name }).execute()
    for (const { name: clusterName, pool, hosts } of clusters) {
      const cluster = newId<'cluster'>()
      const { totalBytes, freeBytes } = ofPools.next().value as (typeof spaces)[number]
      await tx
        .insertInto('cluster')
        .values({ id: cluster, pod_id: pod, name: clusterName, hypervisor: driver.hypervisor })
        .execute()
      for (const host of hosts)
        await insertHost(tx, { ...host, cluster }, ofHosts.next().value as (typeof facts)[number])
      await tx
        .insertInto('storage_pool')
        .values({ ...pool, cluster_id: cluster, total_bytes: totalBytes, free_bytes: freeBytes })
        .execute()
    }
  }
}
