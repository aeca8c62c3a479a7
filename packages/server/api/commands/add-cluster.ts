import type { Hypervisor } from '@ramet/core/clone-type.ts'
import { type ClusterId, newId } from '@ramet/core/ids.ts'
import type { App } from '../../app.ts'
import { setConnection } from '../../store/cluster-connections.ts'
import type { Tx } from '../../store/database.ts'
import { applyInventory } from '../../store/foreign-inventory.ts'
import { clusterById, holdPlace, podById } from '../../store/infrastructure.ts'
import { type Caller, unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { connectionFrom, connectionParameters, guestNetworkIn } from '../cluster-connection.ts'
import { objectCommand } from '../command.ts'
import { demandHypervisor, hypervisorNames, isReached } from '../hypervisors.ts'
import { allocationState, choice, id, invalid, label, type Values } from '../parameters.ts'
import { clusterView, type ListedCluster } from '../views/cluster.ts'

const params = {
  zoneid: id<'zone'>('its zone').must,
  podid: id<'pod'>('its pod').must,
  clustername: label('name').must,
  clustertype: choice('who manages it: ExternalManaged by a vCenter', ['CloudManaged', 'ExternalManaged']).must,
  hypervisor: choice('the hypervisor of its hosts', hypervisorNames).must,
  ...connectionParameters,
  allocationstate: allocationState,
}

type Given = Values<typeof params>

export const addCluster = objectCommand({
  name: 'addCluster',
  description:
    'Creates a cluster in a pod: hosts of one hypervisor that share storage. One of a vCenter comes with its hosts and datastores, and is followed from then on',
  permission: 'admin',
  params,
  view: clusterView,
  asList: true,
  run: ({ app, caller, params: given }): Promise<ListedCluster> =>
    isReached(app, given.hypervisor) ? addReached(app, caller, given, given.hypervisor) : addOwn(app, caller, given),
})

function addOwn(app: App, caller: Caller, given: Given): Promise<ListedCluster> {
  demandHypervisor(app, given.hypervisor)
  if (given.clustertype !== 'CloudManaged')
    throw invalid('clustertype', `must be CloudManaged: clusters of ${given.hypervisor} are managed by this server`)
  return add(app, caller, given, newId(), async () => {})
}

/** The connection is tried first: what is refused there has changed nothing. */
async function addReached(app: App, caller: Caller, given: Given, hypervisor: Hypervisor): Promise<ListedCluster> {
  if (given.clustertype !== 'ExternalManaged')
    throw invalid('clustertype', `must be ExternalManaged: clusters of ${hypervisor} are managed by their vCenter`)
  const connection = connectionFrom(given)
  const reached = await app.clusters.reach(hypervisor, connection)
  try {
    const network = guestNetworkIn(reached.inventory, given.guestvswitchname)
    const cluster = newId<'cluster'>()
    const added = await add(app, caller, given, cluster, async tx => {
      await setConnection(tx, app.secrets, cluster, connection, network)
      await applyInventory(tx, cluster, reached.inventory)
    })
    await reached.keep(cluster)
    return added
  } catch (error) {
    await reached.drop()
    throw error
  }
}

function add(
  app: App,
  caller: Caller,
  given: Given,
  cluster: ClusterId,
  andBesides: (tx: Tx) => Promise<void>,
): Promise<ListedCluster> {
  return withFreeName('clustername', given.clustername, () =>
    changing({ app, caller }, async (tx, tell) => {
      const pod = (await holdPlace(tx, 'pod', given.podid, 'share')) && (await podById(tx, given.podid))
      if (!pod) throw unknownId('podid', given.podid)
      if (pod.zone_id !== given.zoneid) throw invalid('zoneid', `is not the zone of pod ${pod.name}`)
      await tx
        .insertInto('cluster')
        .values({
          id: cluster,
          pod_id: pod.id,
          name: given.clustername,
          hypervisor: given.hypervisor,
          allocation_state: given.allocationstate ?? 'Enabled',
        })
        .execute()
      await andBesides(tx)
      await tell({
        type: 'CLUSTER.CREATE',
        description: `created cluster ${given.clustername}`,
        resourceType: 'Cluster',
        resource: cluster,
      })
      const cpu_factor = app.settings.number('cpu.overprovisioning.factor')
      return { ...(await clusterById(tx, cluster)), cpu_factor } as ListedCluster
    }),
  )
}
