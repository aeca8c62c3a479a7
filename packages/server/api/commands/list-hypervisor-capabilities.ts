import { sql, type SqlBool } from 'kysely'
import { listCommand } from '../command.ts'
import { containing } from '../paging.ts'
import { id, text } from '../parameters.ts'
import { pageOf, reads } from '../query.ts'
import { hypervisorCapabilitiesView } from '../views/hypervisor-capabilities.ts'

export const listHypervisorCapabilities = listCommand({
  name: 'listHypervisorCapabilities',
  description: 'Lists what hypervisors are let do',
  permission: 'admin',
  params: {
    id: id<'hypervisor-capabilities'>('the capabilities'),
    hypervisor: text('those of a hypervisor'),
  },
  view: hypervisorCapabilitiesView,
  run: ({ app, params, page }) => {
    let all = app.db.selectFrom('hypervisor_capabilities').selectAll().orderBy('hypervisor')
    if (params.id) all = all.where('id', '=', params.id)
    if (params.hypervisor) all = all.where(reads('hypervisor', params.hypervisor))
    if (page.keyword) all = all.where(sql<SqlBool>`hypervisor ilike ${containing(page.keyword)}`)
    return pageOf(all, page)
  },
})
