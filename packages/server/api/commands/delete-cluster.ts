import { sql } from 'kysely'
import { holdPlace, remaining, removePlace } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { connectionOf, forgetReached } from '../../store/cluster-connections.ts'
import { changing, inUse } from '../changing.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import type { ClusterId } from '@ramet/core/ids.ts'
import { successView } from '../views/success.ts'

export const deleteCluster = plainCommand({
  name: 'deleteCluster',
  description:
    'Removes a cluster without hosts and storage pools; one of a vCenter goes with them, when no machine, template or volume of it is left, and nothing is changed in the vCenter',
  permission: 'admin',
  params: { id: id<'cluster'>('the cluster').must },
  answer: successView,
  run: ({ app, caller, params }) =>
    changing({ app, caller }, async (tx, tell) => {
      const cluster = await holdPlace(tx, 'cluster', params.id, 'update')
      if (!cluster) throw unknownId('id', params.id)
      const isReached = (await connectionOf(tx, params.id)) !== undefined
      const rest = await remaining(tx, isReached ? restOfReached(params.id) : restOf(params.id))
      if (rest.length > 0) throw inUse(`Cluster ${cluster.name}`, rest)
      if (isReached) await forgetReached(tx, params.id)
      await removePlace(tx, 'cluster', params.id)
      await tell({
        type: 'CLUSTER.DELETE',
        description: `removed cluster ${cluster.name}`,
        resourceType: 'Cluster',
        resource: params.id,
      })
      return { success: true }
    }),
})

const restOf = (cluster: ClusterId) => ({
  hosts: sql`host where cluster_id = ${cluster}`,
  'storage pools': sql`storage_pool where cluster_id = ${cluster}`,
})

/** Its hosts and pools are the inventory's, and go with it. */
const restOfReached = (cluster: ClusterId) => ({
  'virtual machines': sql`vm where cluster_id = ${cluster} and removed is null`,
  templates: sql`template where cluster_id = ${cluster} and removed is null`,
  volumes: sql`volume where removed is null and pool_id in (select id from storage_pool where cluster_id = ${cluster})`,
})
