// A template that is in the inventory of a cluster already: registerTemplate url=inventory:PATH names it there, and nothing is fetched.
import type { ClusterId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { adoptTemplate } from '../jobs/adopt-template.ts'
import { selectClusters } from '../store/infrastructure.ts'
import { type ListedTemplate, listedTemplate } from '../store/template-list.ts'
import { type Caller, isAdmin, originOfCall } from './caller.ts'
import { newTemplate } from './new-template.ts'
import { invalid } from './parameters.ts'
import type { registrationParameters } from './registration.ts'
import type { Values } from './parameters.ts'
import type { ListedCluster } from './views/cluster.ts'

export const inventoryScheme = 'inventory:'

export interface Adoption extends Values<typeof registrationParameters> {
  readonly clusterid: ClusterId | undefined
  readonly hypervisor: string
  readonly format: string
}

export async function adopt(
  app: App,
  caller: Caller,
  given: Adoption,
  flags: { readonly password_enabled: boolean; readonly ssh_key_enabled: boolean },
): Promise<ListedTemplate> {
  if (!isAdmin(caller))
    throw new Problem('forbidden', 'inventory-path', 'Only administrators register what is in an inventory')
  if (given.format !== 'OVA') throw invalid('format', 'must be OVA for what is in the inventory of a vCenter')
  if (given.checksum) throw invalid('checksum', 'is for files; what is in an inventory has none')
  if (given.isextractable) throw invalid('isextractable', 'is for files; what is in an inventory stays there')
  if (!given.url.startsWith(inventoryScheme))
    throw invalid('url', 'must be inventory:PATH for this hypervisor, as listUnmanagedInstances tells the path')
  const foreign = given.url.slice(inventoryScheme.length)
  const cluster = await clusterFor(app, given)
  await demandThere(app, cluster, foreign)
  const made = await newTemplate(
    app,
    caller,
    given,
    {
      ...flags,
      format: 'OVA',
      url: given.url,
      zone_id: cluster.zone_id,
      cluster_id: cluster.id,
      hypervisor: cluster.hypervisor,
    },
    async (tx, template) => {
      const taken = await tx
        .selectFrom('template')
        .select('name')
        .where('url', '=', given.url)
        .where('cluster_id', '=', cluster.id)
        .where('removed', 'is', null)
        .where('download_state', '!=', 'DOWNLOAD_ERROR')
        .where('id', '!=', template)
        .executeTakeFirst()
      if (taken) throw invalid('url', `is the template ${taken.name} already`)
      return app.jobs.start(tx, adoptTemplate, { template, foreign }, originOfCall(caller, 'registerTemplate'))
    },
  )
  return (await listedTemplate(app.db, made.id)) as ListedTemplate
}

type Reached = Pick<ListedCluster, 'id' | 'name' | 'hypervisor'> & { readonly zone_id: ListedTemplate['zone_id'] }

async function clusterFor(app: App, { clusterid, hypervisor, zoneid }: Adoption): Promise<Reached> {
  const found = await selectClusters(app.db)
    .where('cluster.hypervisor', '=', hypervisor as never)
    .where('reached.url', 'is not', null)
    .$if(clusterid !== undefined, query => query.where('cluster.id', '=', clusterid as ClusterId))
    .$if(zoneid !== undefined, query => query.where('zone.id', '=', zoneid as never))
    .execute()
  const [first, ...others] = found
  if (!first) throw invalid('clusterid', `names no cluster of ${hypervisor}; addCluster adds one`)
  if (others.length > 0) throw invalid('clusterid', `is missing: there are ${found.length} clusters of ${hypervisor}`)
  return first
}

async function demandThere(app: App, cluster: Reached, named: string): Promise<void> {
  const { machines } = await app.clusters.inventory(cluster.id)
  const found = machines.find(({ foreign, path }) => foreign === named || path === named)
  if (!found)
    throw invalid(
      'url',
      `names nothing in the inventory of cluster ${cluster.name}; listUnmanagedInstances tells what is there`,
    )
  if (found.vm) throw invalid('url', `names a machine of this server's`)
  if (found.power === 'on')
    throw invalid('url', `names a machine that runs; only one that is off can become a template`)
}
