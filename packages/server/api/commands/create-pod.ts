import { newId } from '@ramet/core/ids.ts'
import { holdPlace, podById } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { allocationState, id, ipAddress, label } from '../parameters.ts'
import { type ListedPod, podView } from '../views/pod.ts'

export const createPod = objectCommand({
  name: 'createPod',
  description: 'Creates a pod in a zone',
  permission: 'admin',
  params: {
    zoneid: id<'zone'>('its zone').must,
    name: label('name').must,
    startip: ipAddress('first address of its hosts, for people to read'),
    endip: ipAddress('last address of its hosts, for people to read'),
    netmask: ipAddress('netmask of its hosts, for people to read', [4]),
    gateway: ipAddress('gateway of its hosts, for people to read'),
    allocationstate: allocationState,
  },
  view: podView,
  run: ({ app, caller, params }): Promise<ListedPod> =>
    withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        if (!(await holdPlace(tx, 'zone', params.zoneid, 'share'))) throw unknownId('zoneid', params.zoneid)
        const pod = newId<'pod'>()
        await tx
          .insertInto('pod')
          .values({
            id: pod,
            zone_id: params.zoneid,
            name: params.name,
            start_ip: params.startip || null,
            end_ip: params.endip || null,
            netmask: params.netmask || null,
            gateway: params.gateway || null,
            allocation_state: params.allocationstate ?? 'Enabled',
          })
          .execute()
        await tell({
          type: 'POD.CREATE',
          description: `created pod ${params.name}`,
          resourceType: 'Pod',
          resource: pod,
        })
        return (await podById(tx, pod)) as ListedPod
      }),
    ),
})
