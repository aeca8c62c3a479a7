import { holdPlace } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { allocationState, id, integer, ipAddress, label, text } from '../parameters.ts'
import { zoneView } from '../views/zone.ts'

export const updateZone = objectCommand({
  name: 'updateZone',
  description: 'Changes a zone; a Disabled one takes no new machines',
  permission: 'admin',
  params: {
    id: id<'zone'>('the zone').must,
    name: label('new name'),
    dns1: ipAddress('first DNS server'),
    dns2: ipAddress('second DNS server; empty: none'),
    internaldns1: ipAddress('first internal DNS server'),
    internaldns2: ipAddress('second internal DNS server; empty: none'),
    guestcidraddress: text('address range of its guests, for people to read; empty: none'),
    domain: text('network domain; empty: none'),
    allocationstate: allocationState,
    sortkey: integer('place in lists, lowest first', -2_147_483_648, 2_147_483_647),
  },
  view: zoneView,
  run: ({ app, caller, params }) =>
    withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        if (!(await holdPlace(tx, 'zone', params.id, 'update'))) throw unknownId('id', params.id)
        const given = (value: string | undefined) => (value === undefined ? undefined : value || null)
        const zone = await tx
          .updateTable('zone')
          .set(eb => ({
            name: params.name ?? eb.ref('name'),
            dns1: params.dns1 || eb.ref('dns1'),
            internal_dns1: params.internaldns1 || eb.ref('internal_dns1'),
            allocation_state: params.allocationstate ?? eb.ref('allocation_state'),
            sort_key: params.sortkey ?? eb.ref('sort_key'),
            dns2: given(params.dns2),
            internal_dns2: given(params.internaldns2),
            guest_cidr: given(params.guestcidraddress),
            network_domain: given(params.domain),
          }))
          .where('id', '=', params.id)
          .returningAll()
          .executeTakeFirstOrThrow()
        await tell({
          type: 'ZONE.EDIT',
          description: `changed zone ${zone.name}`,
          resourceType: 'Zone',
          resource: zone.id,
        })
        return zone
      }),
    ),
})
