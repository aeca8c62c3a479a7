import type { ClusterId } from '@ramet/core/ids.ts'
import type { App, ForeignMachine } from '../../app.ts'
import { clusterById } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { listCommand } from '../command.ts'
import { id, invalid, text } from '../parameters.ts'
import { pageOfAll } from '../query.ts'
import { unmanagedInstanceView } from '../views/unmanaged-instance.ts'

export const listUnmanagedInstances = listCommand({
  name: 'listUnmanagedInstances',
  description:
    'Lists machines and templates of the inventory of a cluster that are nothing of this server’s; registerTemplate makes templates of them',
  permission: 'admin',
  params: {
    clusterid: id<'cluster'>('the cluster').must,
    name: text('exact name, or path'),
  },
  view: unmanagedInstanceView,
  async run({ app, params, page }) {
    const cluster = await clusterById(app.db, params.clusterid)
    if (!cluster) throw unknownId('clusterid', params.clusterid)
    if (cluster.url === null)
      throw invalid('clusterid', `names ${cluster.name}, which has no inventory: this server makes all its machines`)
    const { machines } = await app.clusters.inventory(cluster.id)
    const adopted = new Set(await adoptedIn(app, cluster.id))
    const keyword = page.keyword?.toLowerCase() ?? ''
    const found = machines
      .filter(({ vm, foreign, path }) => vm === null && !adopted.has(foreign) && !adopted.has(path))
      .filter(each => params.name === undefined || each.path === params.name || nameOf(each) === params.name)
      .filter(({ path }) => path.toLowerCase().includes(keyword))
      .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    return pageOfAll(
      found.map(each => ({ ...each, name: nameOf(each), cluster })),
      page,
    )
  },
})

function nameOf({ path }: ForeignMachine): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

async function adoptedIn({ db }: App, cluster: ClusterId): Promise<string[]> {
  const rows = await db
    .selectFrom('template')
    .select('url')
    .where('cluster_id', '=', cluster)
    .where('removed', 'is', null)
    .execute()
  return rows.map(({ url }) => url.replace(/^inventory:/, ''))
}
