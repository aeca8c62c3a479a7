import { clusterById, holdPlace } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { hypervisorNames } from '../hypervisors.ts'
import { allocationState, choice, id, label } from '../parameters.ts'
import { clusterView, type ListedCluster } from '../views/cluster.ts'

export const updateCluster = objectCommand({
  name: 'updateCluster',
  description: 'Changes a cluster; hosts of a Disabled one take no new machines',
  permission: 'admin',
  params: {
    id: id<'cluster'>('the cluster').must,
    clustername: label('new name'),
    allocationstate: allocationState,
    managedstate: choice('accepted for its clients', ['Managed']),
    clustertype: choice('accepted for its clients', ['CloudManaged']),
    hypervisor: choice('accepted for its clients', hypervisorNames),
  },
  view: clusterView,
  run: ({ app, caller, params }): Promise<ListedCluster> =>
    withFreeName('clustername', params.clustername, () =>
      changing({ app, caller }, async (tx, tell) => {
        if (!(await holdPlace(tx, 'cluster', params.id, 'update'))) throw unknownId('id', params.id)
        await tx
          .updateTable('cluster')
          .set(eb => ({
            name: params.clustername ?? eb.ref('name'),
            allocation_state: params.allocationstate ?? eb.ref('allocation_state'),
          }))
          .where('id', '=', params.id)
          .execute()
        const cpu_factor = app.settings.number('cpu.overprovisioning.factor')
        const cluster = { ...(await clusterById(tx, params.id)), cpu_factor } as ListedCluster
        await tell({
          type: 'CLUSTER.EDIT',
          description: `changed cluster ${cluster.name}`,
          resourceType: 'Cluster',
          resource: cluster.id,
        })
        return cluster
      }),
    ),
})
