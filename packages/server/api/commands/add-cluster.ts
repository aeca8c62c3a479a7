import { newId } from '@ramet/core/ids.ts'
import { clusterById, holdPlace, podById } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { demandHypervisor, hypervisorNames } from '../hypervisors.ts'
import { allocationState, choice, id, invalid, label } from '../parameters.ts'
import { clusterView, type ListedCluster } from '../views/cluster.ts'

export const addCluster = objectCommand({
  name: 'addCluster',
  description: 'Creates a cluster in a pod: hosts of one hypervisor that share storage',
  permission: 'admin',
  params: {
    zoneid: id<'zone'>('its zone').must,
    podid: id<'pod'>('its pod').must,
    clustername: label('name').must,
    clustertype: choice('who manages it', ['CloudManaged']).must,
    hypervisor: choice('the hypervisor of its hosts', hypervisorNames).must,
    allocationstate: allocationState,
  },
  view: clusterView,
  asList: true,
  run: ({ app, caller, params }): Promise<ListedCluster> =>
    withFreeName('clustername', params.clustername, () =>
      changing({ app, caller }, async (tx, tell) => {
        demandHypervisor(app, params.hypervisor)
        const pod = (await holdPlace(tx, 'pod', params.podid, 'share')) && (await podById(tx, params.podid))
        if (!pod) throw unknownId('podid', params.podid)
        if (pod.zone_id !== params.zoneid) throw invalid('zoneid', `is not the zone of pod ${pod.name}`)
        const cluster = newId<'cluster'>()
        await tx
          .insertInto('cluster')
          .values({
            id: cluster,
            pod_id: pod.id,
            name: params.clustername,
            hypervisor: params.hypervisor,
            allocation_state: params.allocationstate ?? 'Enabled',
          })
          .execute()
        await tell({
          type: 'CLUSTER.CREATE',
          description: `created cluster ${params.clustername}`,
          resourceType: 'Cluster',
          resource: cluster,
        })
        const cpu_factor = app.settings.number('cpu.overprovisioning.factor')
        return { ...(await clusterById(tx, cluster)), cpu_factor } as ListedCluster
      }),
    ),
})
