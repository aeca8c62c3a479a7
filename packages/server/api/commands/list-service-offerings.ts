import { sql, type SqlBool } from 'kysely'
import { listCommand } from '../command.ts'
import { offeringIsIn, offeringState } from '../offerings.ts'
import { containing } from '../paging.ts'
import { flag, id, integer, text } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { vmOfCall } from '../vm-call.ts'
import { serviceOfferingView } from '../views/service-offering.ts'

export const listServiceOfferings = listCommand({
  name: 'listServiceOfferings',
  description: 'Lists service offerings',
  permission: 'user',
  params: {
    id: id<'service-offering'>('the service offering'),
    name: text('exact name'),
    cpunumber: integer('those that give at least this many virtual CPUs', 0, 1_000_000),
    cpuspeed: integer('those with at least this many MHz', 0, 1_000_000),
    memory: integer('those with at least this many MiB of memory', 0, 1_000_000_000),
    virtualmachineid: id<'vm'>('those that this machine may change to'),
    issystem: flag('those for system machines, of which there are none'),
    storagetype: text('shared or local'),
    state: offeringState,
  },
  view: serviceOfferingView,
  run: async ({ app, caller, params, page }) => {
    if (params.issystem) return { count: 0, items: [] }
    let offerings = app.db.selectFrom('service_offering').selectAll().orderBy('sort_key').orderBy('name').orderBy('id')
    offerings = narrowTo(offerings, {
      id: params.id,
      name: params.name,
    })
    const reaching = (
      column: 'cpus' | 'cpu_mhz' | 'memory_mib',
      most: 'max_cpus' | 'max_memory_mib' | null,
      least: number,
    ) => sql<SqlBool>`coalesce(${sql.ref(column)}, ${most ? sql.ref(most) : sql`null`}, ${least}) >= ${least}`
    if (params.cpunumber) offerings = offerings.where(reaching('cpus', 'max_cpus', params.cpunumber))
    if (params.cpuspeed) offerings = offerings.where(reaching('cpu_mhz', null, params.cpuspeed))
    if (params.memory) offerings = offerings.where(reaching('memory_mib', 'max_memory_mib', params.memory))
    if (params.virtualmachineid) {
      const vm = await vmOfCall(app, caller, params.virtualmachineid, 'virtualmachineid')
      offerings = offerings.where(eb =>
        eb.or([eb('id', '!=', vm.service_offering_id), eb('cpus', 'is', null), eb('memory_mib', 'is', null)]),
      )
    }
    if (params.storagetype) offerings = offerings.where('storage_type', '=', params.storagetype)
    if (page.keyword) offerings = offerings.where('name', 'ilike', containing(page.keyword))
    return pageOf(offerings.where(offeringIsIn(params.state)), page)
  },
})
