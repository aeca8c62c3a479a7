import { sql } from 'kysely'
import { holdPlace, remaining, removePlace } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, inUse } from '../changing.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'

export const deletePod = plainCommand({
  name: 'deletePod',
  description: 'Removes a pod without clusters',
  permission: 'admin',
  params: { id: id<'pod'>('the pod').must },
  answer: successView,
  run: ({ app, caller, params }) =>
    changing({ app, caller }, async (tx, tell) => {
      const pod = await holdPlace(tx, 'pod', params.id, 'update')
      if (!pod) throw unknownId('id', params.id)
      const rest = await remaining(tx, { clusters: sql`cluster where pod_id = ${params.id} and removed is null` })
      if (rest.length > 0) throw inUse(`Pod ${pod.name}`, rest)
      await removePlace(tx, 'pod', params.id)
      await tell({
        type: 'POD.DELETE',
        description: `removed pod ${pod.name}`,
        resourceType: 'Pod',
        resource: params.id,
      })
      return { success: true }
    }),
})
