import { holdPlace, podById } from '../../store/infrastructure.ts'
import { unknownId } from '../caller.ts'
import { changing, withFreeName } from '../changing.ts'
import { objectCommand } from '../command.ts'
import { allocationState, id, ipAddress, label } from '../parameters.ts'
import { type ListedPod, podView } from '../views/pod.ts'

export const updatePod = objectCommand({
  name: 'updatePod',
  description: 'Changes a pod; hosts of a Disabled one take no new machines',
  permission: 'admin',
  params: {
    id: id<'pod'>('the pod').must,
    name: label('new name'),
    startip: ipAddress('first address of its hosts, for people to read; empty: none'),
    endip: ipAddress('last address of its hosts, for people to read; empty: none'),
    netmask: ipAddress('netmask of its hosts, for people to read; empty: none', [4]),
    gateway: ipAddress('gateway of its hosts, for people to read; empty: none'),
    allocationstate: allocationState,
  },
  view: podView,
  run: ({ app, caller, params }): Promise<ListedPod> =>
    withFreeName('name', params.name, () =>
      changing({ app, caller }, async (tx, tell) => {
        if (!(await holdPlace(tx, 'pod', params.id, 'update'))) throw unknownId('id', params.id)
        const given = (value: string | undefined) => (value === undefined ? undefined : value || null)
        await tx
          .updateTable('pod')
          .set(eb => ({
            name: params.name ?? eb.ref('name'),
            allocation_state: params.allocationstate ?? eb.ref('allocation_state'),
            start_ip: given(params.startip),
            end_ip: given(params.endip),
            netmask: given(params.netmask),
            gateway: given(params.gateway),
          }))
          .where('id', '=', params.id)
          .execute()
        const pod = (await podById(tx, params.id)) as ListedPod
        await tell({ type: 'POD.EDIT', description: `changed pod ${pod.name}`, resourceType: 'Pod', resource: pod.id })
        return pod
      }),
    ),
})
