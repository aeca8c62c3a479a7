import { newId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../../app.ts'
import { insertHost } from '../../store/hosts.ts'
import { selectClusters } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { shownHost } from '../host-call.ts'
import { demandHypervisor, hypervisorNames, isReached } from '../hypervisors.ts'
import { choice, id, invalid, text, type Values } from '../parameters.ts'
import { hostView, type ListedHost } from '../views/host.ts'

const params = {
  zoneid: id<'zone'>('its zone').must,
  podid: id<'pod'>('its pod').must,
  clusterid: id<'cluster'>('its cluster'),
  clustername: text('name of its cluster, instead of clusterid'),
  hypervisor: choice('its hypervisor', hypervisorNames).must,
  url: text('http://NAME, its address').must,
  username: text('accepted for its clients'),
  password: text('accepted for its clients'),
  allocationstate: choice('whether machines are placed there', ['Enabled', 'Disabled']),
}

export const addHost = objectCommand({
  name: 'addHost',
  description: 'Adds a host to a cluster, where the hypervisor can have more than one',
  permission: 'admin',
  params,
  view: hostView,
  asList: true,
  async run({ app, caller, params: asked }): Promise<ListedHost> {
    if (isReached(app, asked.hypervisor))
      throw new Problem(
        'refused',
        'hosts-by-inventory',
        `Hosts of ${asked.hypervisor} come with the inventory of their cluster: add the host there, or the cluster here by addCluster`,
      )
    demandHypervisor(app, asked.hypervisor)
    if (!app.capabilitiesOf(null).addHosts)
      throw new Problem(
        'refused',
        'one-host',
        `${app.hypervisor} machines run on the host that this server runs on; no other can be added`,
      )
    const { id: cluster } = await clusterOf(app, asked)
    const name = nameIn(asked.url)
    const host = { id: newId<'host'>(), name, address: name, cluster }
    const facts = await app.hostFacts(host)
    await withFreeName('url', name, () =>
      changing({ app, caller }, async (tx, tell) => {
        await insertHost(tx, host, facts)
        if (asked.allocationstate === 'Disabled')
          await tx.updateTable('host').set({ resource_state: 'Disabled' }).where('id', '=', host.id).execute()
        await tell({ type: 'HOST.CREATE', description: `added host ${name}`, resourceType: 'Host', resource: host.id })
      }),
    )
    return (await shownHost(app, host.id)) as ListedHost
  },
})

async function clusterOf(app: App, { zoneid, podid, clusterid, clustername }: Values<typeof params>) {
  if (!clusterid && !clustername) throw invalid('clusterid', 'is missing; give it, or clustername')
  const cluster = await selectClusters(app.db)
    .where('pod.id', '=', podid)
    .$if(clusterid !== undefined, query => query.where('cluster.id', '=', clusterid as NonNullable<typeof clusterid>))
    .$if(clusterid === undefined, query => query.where('cluster.name', '=', clustername ?? ''))
    .executeTakeFirst()
  if (!cluster && clusterid) throw unknownId('clusterid', clusterid)
  if (!cluster) throw invalid('clustername', `names no cluster of the pod; addCluster makes one`)
  if (cluster.zone_id !== zoneid) throw invalid('zoneid', `is not the zone of cluster ${cluster.name}`)
  return cluster
}

function nameIn(url: string): string {
  const name = URL.canParse(url) ? new URL(url).hostname : ''
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : '') || name === '')
    throw invalid('url', `must be of the form http://NAME; it is "${url}"`)
  return name
}
