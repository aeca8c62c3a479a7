import type { ClusterId } from '@ramet/core/ids.ts'
import type { App, Connection } from '../../app.ts'
import { connectionOf, notIn, setConnection } from '../../store/cluster-connections.ts'
import type { Tx } from '../../store/database.ts'
import { clusterById, holdPlace } from '../../store/infrastructure.ts'
import { type Caller, unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { connectionFrom, connectionParameters, guestNetworkIn } from '../cluster-connection.ts'
import { objectCommand } from '../command.ts'
import { hypervisorNames } from '../hypervisors.ts'
import { allocationState, choice, id, invalid, label, type Values } from '../parameters.ts'
import { clusterView, type ListedCluster } from '../views/cluster.ts'

const params = {
  id: id<'cluster'>('the cluster').must,
  clustername: label('new name'),
  allocationstate: allocationState,
  ...connectionParameters,
  managedstate: choice('accepted for its clients', ['Managed']),
  clustertype: choice('accepted for its clients', ['CloudManaged', 'ExternalManaged']),
  hypervisor: choice('accepted for its clients', hypervisorNames),
}

type Given = Values<typeof params>

export const updateCluster = objectCommand({
  name: 'updateCluster',
  description:
    'Changes a cluster; hosts of a Disabled one take no new machines. One of a vCenter may get another address, user, password or certificate',
  permission: 'admin',
  params,
  view: clusterView,
  async run({ app, caller, params: given }): Promise<ListedCluster> {
    const said = Object.keys(connectionParameters).filter(name => given[name as keyof Given] !== undefined)
    const reached = said.length > 0 ? await reachAnew(app, given, said) : null
    try {
      const cluster = await change(app, caller, given, reached)
      if (reached) await reached.keep(given.id)
      return cluster
    } catch (error) {
      await reached?.drop()
      throw error
    }
  },
})

type ReachedAnew = Awaited<ReturnType<App['clusters']['reach']>> & {
  readonly connection: Connection
  readonly before: Connection
  readonly network: string | null
}

/** The new connection is tried first: what is refused there changes nothing. */
async function reachAnew(app: App, given: Given, [first = 'url']: readonly string[]): Promise<ReachedAnew> {
  const cluster = await clusterById(app.db, given.id)
  if (!cluster) throw unknownId('id', given.id)
  const known = await connectionOf(app.db, given.id)
  if (!known) throw invalid(first, `is for clusters of a vCenter; this server drives cluster ${cluster.name} itself`)
  const { url, username, thumbprint, password_sealed, guest_network } = known
  const before = { url, username, thumbprint, password: app.secrets.unseal(password_sealed) }
  const connection = connectionFrom(given, before)
  const reached = await app.clusters.reach(cluster.hypervisor, connection)
  try {
    const network = guestNetworkIn(reached.inventory, given.guestvswitchname ?? guest_network ?? undefined)
    return { ...reached, connection, before, network }
  } catch (error) {
    await reached.drop()
    throw error
  }
}

/** By another address there must be what is recorded of ours: another vCenter's machines would be asked for in vain, or made once more. */
async function demandSameVcenter(tx: Tx, cluster: ClusterId, reached: ReachedAnew): Promise<void> {
  if (reached.connection.url === reached.before.url) return
  const missing = await notIn(tx, cluster, reached)
  if (missing.length > 0)
    throw invalid(
      'url',
      `is that of another vCenter, which lacks ${someOf(missing)}; remove those first, or add a cluster for it`,
    )
}

function someOf(names: readonly string[]): string {
  const more = names.length > 3 ? [`${names.length - 3} more`] : []
  return [...names.slice(0, 3), ...more].join(', ')
}

function change(app: App, caller: Caller, given: Given, reached: ReachedAnew | null): Promise<ListedCluster> {
  return withFreeName('clustername', given.clustername, () =>
    changing({ app, caller }, async (tx, tell) => {
      if (!(await holdPlace(tx, 'cluster', given.id, 'update'))) throw unknownId('id', given.id)
      if (reached) await demandSameVcenter(tx, given.id, reached)
      if (reached) await setConnection(tx, app.secrets, given.id, reached.connection, reached.network)
      await tx
        .updateTable('cluster')
        .set(eb => ({
          name: given.clustername ?? eb.ref('name'),
          allocation_state: given.allocationstate ?? eb.ref('allocation_state'),
        }))
        .where('id', '=', given.id)
        .execute()
      const cpu_factor = app.settings.number('cpu.overprovisioning.factor')
      const cluster = { ...(await clusterById(tx, given.id)), cpu_factor } as ListedCluster
      await tell({
        type: 'CLUSTER.EDIT',
        description: `changed cluster ${cluster.name}`,
        resourceType: 'Cluster',
        resource: cluster.id,
      })
      return cluster
    }),
  )
}
