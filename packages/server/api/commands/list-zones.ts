import { selectZones } from '../../store/infrastructure.ts'
import { listCommand } from '../command.ts'
import { flag, id, ids, text } from '../parameters.ts'
import { containing } from '../paging.ts'
import { narrowTo, pageOf } from '../query.ts'
import { zoneView } from '../views/zone.ts'

export const listZones = listCommand({
  name: 'listZones',
  description: 'Lists zones',
  permission: 'user',
  params: {
    id: id<'zone'>('the zone'),
    ids: ids<'zone'>('the zones'),
    name: text('exact name'),
    networktype: text('Basic or Advanced'),
    available: flag('zones without machines of the caller too'),
  },
  view: zoneView,
  run: ({ app, params, page }) => {
    let zones = selectZones(app.db).orderBy('sort_key').orderBy('name').orderBy('id')
    zones = narrowTo(zones, {
      id: params.id,
      name: params.name,
      network_type: params.networktype,
    })
    if (params.ids) zones = zones.where('id', 'in', params.ids)
    if (page.keyword) zones = zones.where('name', 'ilike', containing(page.keyword))
    return pageOf(zones, page)
  },
})
