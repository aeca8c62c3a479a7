import { newId } from '@ramet/core/ids.ts'
import { newDefaultNetwork } from '../../store/networks.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { allocationState, choice, flag, ipAddress, label, text } from '../parameters.ts'
import { zoneView } from '../views/zone.ts'

export const createZone = objectCommand({
  name: 'createZone',
  description: 'Creates a zone, with a default network for its machines; pods, clusters and storage are added next',
  permission: 'admin',
  params: {
    name: label('name').must,
    networktype: choice('kind of its networks', ['Advanced', 'Basic']).must,
    dns1: ipAddress('first DNS server').must,
    dns2: ipAddress('second DNS server'),
    internaldns1: ipAddress('first internal DNS server').must,
    internaldns2: ipAddress('second internal DNS server'),
    guestcidraddress: text('address range of its guests, for people to read'),
    domain: text('network domain'),
    allocationstate: allocationState,
    securitygroupenabled: flag('accepted for its clients; there are no security groups'),
    localstorageenabled: flag('accepted for its clients; machines may always use storage of their host'),
  },
  view: zoneView,
  run: ({ app, caller, params }) =>
    withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        const zone = await tx
          .insertInto('zone')
          .values({
            id: newId(),
            name: params.name,
            network_type: params.networktype,
            dns1: params.dns1,
            dns2: params.dns2 || null,
            internal_dns1: params.internaldns1,
            internal_dns2: params.internaldns2 || null,
            guest_cidr: params.guestcidraddress || null,
            network_domain: params.domain || null,
            allocation_state: params.allocationstate ?? 'Enabled',
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        await newDefaultNetwork(tx, caller.account.id, zone.id)
        await tell({
          type: 'ZONE.CREATE',
          description: `created zone ${zone.name}`,
          resourceType: 'Zone',
          resource: zone.id,
        })
        return zone
      }),
    ),
})
