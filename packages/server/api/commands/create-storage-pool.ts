import { newId } from '@ramet/core/ids.ts'
import { clusterById, holdPlace, listedPool } from '../../store/infrastructure.ts'
import { setPoolSpace } from '../../store/capacity.ts'
import type { Tx } from '../../store/database.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { hypervisorNames } from '../hypervisors.ts'
import { choice, id, invalid, label, long, text } from '../parameters.ts'
import { demandOwnFolder, storageFolder } from '../storage-url.ts'
import { storageTags } from '../storage-tags.ts'
import { type ListedStoragePool, storagePoolView } from '../views/storage-pool.ts'

export const createStoragePool = objectCommand({
  name: 'createStoragePool',
  description: 'Adds primary storage: a folder on the hosts of a cluster, which is made if it is missing',
  permission: 'admin',
  params: {
    zoneid: id<'zone'>('its zone').must,
    podid: id<'pod'>('its pod; that of the cluster when absent'),
    clusterid: id<'cluster'>('its cluster').must,
    name: label('name').must,
    url: text('file:///path, or SharedMountPoint:///path where all hosts of the cluster see the same folder', 1024)
      .must,
    scope: choice('who reaches it', ['CLUSTER', 'HOST']),
    provider: text('accepted for its clients; DefaultPrimary is the only one'),
    hypervisor: choice('accepted for its clients', hypervisorNames),
    tags: storageTags,
    capacitybytes: long('accepted for its clients; the size is that of the file system', 0, 2 ** 53 - 1),
  },
  view: storagePoolView,
  run: ({ app, caller, params }): Promise<ListedStoragePool> => {
    const { type, path } = storageFolder('url', params.url)
    return withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        await demandPlace(tx, params)
        await demandOwnFolder(tx, app, path)
        const pool = { id: newId<'storage-pool'>(), path }
        await tx
          .insertInto('storage_pool')
          .values({
            ...pool,
            cluster_id: params.clusterid,
            name: params.name,
            type,
            tags: params.tags ?? [],
            total_bytes: 0,
            free_bytes: 0,
          })
          .execute()
        // The folder last: whatever the database refuses has left no mark on it.
        await setPoolSpace(tx, pool.id, await app.storage.addPool(pool))
        await tell({
          type: 'STORAGE.POOL.CREATE',
          description: `added storage pool ${params.name} at ${path}`,
          resourceType: 'StoragePool',
          resource: pool.id,
        })
        return (await listedPool(tx, pool.id)) as ListedStoragePool
      }),
    )
  },
})

type Place = Pick<ListedStoragePool, never> & {
  readonly zoneid: Parameters<typeof holdPlace>[2]
  readonly podid: Parameters<typeof holdPlace>[2] | undefined
  readonly clusterid: Parameters<typeof clusterById>[1]
}

async function demandPlace(tx: Tx, { zoneid, podid, clusterid }: Place): Promise<void> {
  const cluster = (await holdPlace(tx, 'cluster', clusterid, 'share')) && (await clusterById(tx, clusterid))
  if (!cluster) throw unknownId('clusterid', clusterid)
  if (cluster.url !== null)
    throw invalid('clusterid', `names ${cluster.name}, whose storage pools are the datastores of its inventory`)
  if (cluster.zone_id !== zoneid) throw invalid('zoneid', `is not the zone of cluster ${cluster.name}`)
  if (podid && cluster.pod_id !== podid) throw invalid('podid', `is not the pod of cluster ${cluster.name}`)
}
