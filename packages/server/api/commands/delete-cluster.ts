import { sql } from 'kysely'
import { holdPlace, remaining, removePlace } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, inUse } from '../changing.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteCluster = plainCommand({
  name: 'deleteCluster',
  description: 'Removes a cluster without hosts and storage pools',
  permission: 'admin',
  params: { id: id<'cluster'>('the cluster').must },
  answer: successView,
  run: ({ app, caller, params }) =>
    changing({ app, caller }, async (tx, tell) => {
      const cluster = await holdPlace(tx, 'cluster', params.id, 'update')
      if (!cluster) throw unknownId('id', params.id)
      const rest = await remaining(tx, {
        hosts: sql`host where cluster_id = ${params.id}`,
        'storage pools': sql`storage_pool where cluster_id = ${params.id}`,
      })
      if (rest.length > 0) throw inUse(`Cluster ${cluster.name}`, rest)
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
