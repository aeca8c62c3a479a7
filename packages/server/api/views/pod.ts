// A pod on the wire.
import type { Row } from '../../store/tables.ts'
import { list, string, view } from '../view.ts'

export type ListedPod = Row<'pod'> & { readonly zone_name: string }

export const podView = view<ListedPod>('pod', {
  id: string('the id of the pod', pod => pod.id),
  name: string('its name', pod => pod.name),
  zoneid: string('its zone', pod => pod.zone_id),
  zonename: string('the name of its zone', pod => pod.zone_name),
  allocationstate: string('Enabled or Disabled', pod => pod.allocation_state),
  gateway: string('gateway of its hosts', pod => pod.gateway),
  netmask: string('netmask of its hosts', pod => pod.netmask),
  startip: list('first addresses of its hosts', pod => pod.start_ip && [pod.start_ip]),
  endip: list('last addresses of its hosts', pod => pod.end_ip && [pod.end_ip]),
})
