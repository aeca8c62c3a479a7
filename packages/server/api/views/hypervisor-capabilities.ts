// What a hypervisor is let do, on the wire.
import type { HypervisorCapabilities } from '../../store/hypervisor-capabilities.ts'
import { boolean, integer, long, string, view } from '../view.ts'

export const hypervisorCapabilitiesView = view<HypervisorCapabilities>('hypervisorCapabilities', {
  id: string('the id of the capabilities', each => each.id),
  hypervisor: string('the hypervisor', each => each.hypervisor),
  hypervisorversion: string('default: any version', () => 'default'),
  maxguestslimit: long(
    'machines that may run on a host; absent: as many as there is room for',
    each => each.max_guests,
  ),
  maxdatavolumeslimit: integer('data volumes that a machine may have', each => each.max_data_volumes),
  securitygroupenabled: boolean('whether security groups work', each => each.security_group_enabled),
  vmsnapshotenabled: boolean('whether VM snapshots may be taken', each => each.vm_snapshot_enabled),
  storagemotionenabled: boolean('whether running machines change their storage', () => false),
})
