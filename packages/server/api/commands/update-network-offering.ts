import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { choice, id, label, text } from '../parameters.ts'
import { networkOfferingView } from '../views/network-offering.ts'

export const updateNetworkOffering = objectCommand({
  name: 'updateNetworkOffering',
  description: 'Changes a network offering; networks made of it stay as they are',
  permission: 'admin',
  params: {
    id: id<'network-offering'>('the network offering').must,
    name: label('new name'),
    displaytext: text('new description'),
    state: choice('for new networks (Enabled) or not (Disabled)', ['Enabled', 'Disabled']),
  },
  view: networkOfferingView,
  run: ({ app, caller, params }) =>
    withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        const offering = await tx
          .updateTable('network_offering')
          .set(eb => ({
            name: params.name || eb.ref('name'),
            display_text: params.displaytext || eb.ref('display_text'),
            state: params.state ?? eb.ref('state'),
          }))
          .where('id', '=', params.id)
          .where('removed', 'is', null)
          .returningAll()
          .executeTakeFirst()
        if (!offering) throw unknownId('id', params.id)
        await tell({
          type: 'NETWORK.OFFERING.EDIT',
          description: `changed network offering ${offering.name}`,
          resourceType: 'NetworkOffering',
          resource: offering.id,
        })
        return offering
      }),
    ),
})
