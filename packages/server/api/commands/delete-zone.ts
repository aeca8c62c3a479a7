import { sql } from 'kysely'
import { holdPlace, remaining, removePlace } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, inUse } from '../changing.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deleteZone = plainCommand({
  name: 'deleteZone',
  description: 'Removes a zone that holds nothing any more',
  permission: 'admin',
  params: { id: id<'zone'>('the zone').must },
  answer: successView,
  run: ({ app, caller, params }) =>
    changing({ app, caller }, async (tx, tell) => {
      const zone = await holdPlace(tx, 'zone', params.id, 'update')
      if (!zone) throw unknownId('id', params.id)
      const inside = sql`zone_id = ${params.id} and removed is null`
      const rest = await remaining(tx, {
        pods: sql`pod where ${inside}`,
        'image stores': sql`image_store where ${inside}`,
        'virtual machines': sql`vm where ${inside}`,
        volumes: sql`volume where ${inside}`,
        networks: sql`network where zone_id = ${params.id} and domain_id is null`,
        'templates or ISOs': sql`template where ${inside}`,
      })
      if (rest.length > 0) throw inUse(`Zone ${zone.name}`, rest)
      await removePlace(tx, 'zone', params.id)
      await tell({
        type: 'ZONE.DELETE',
        description: `removed zone ${zone.name}`,
        resourceType: 'Zone',
        resource: params.id,
      })
      return { success: true }
    }),
})
