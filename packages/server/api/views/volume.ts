// A volume on the wire.
import type { ListedVolume } from '../../store/volume-list.ts'
import { boolean, date, long, nested, string, view } from '../view.ts'
import { tagView } from './tag.ts'

export const volumeView = view<ListedVolume>('volume', {
  id: string('the id of the volume', volume => volume.id),
  name: string('its name', volume => volume.name),
  type: string('ROOT or DATADISK', volume => volume.type),
  state: string('Allocated, Creating, Ready, Destroy, Expunging', volume => volume.state),
  size: long('bytes that a guest sees', volume => volume.size_bytes),
  physicalsize: long('bytes that its own layer occupies', volume => volume.allocated_bytes),
  virtualmachineid: string('the machine it is attached to', volume => volume.vm_id),
  vmname: string('the host name of that machine', volume => volume.vm_name),
  vmdisplayname: string('the label of that machine', volume => volume.vm_display_name),
  vmstate: string('the state of that machine', volume => volume.vm_state),
  deviceid: long('its place in the machine; 0 is the root disk', volume => volume.device_id),
  attached: date('when it was attached', volume => volume.attached),
  account: string('the account that owns it', volume => volume.account_name),
  domain: string('the domain of its account', volume => volume.domain_name),
  domainid: string('the id of that domain', volume => volume.domain_id),
  zoneid: string('its zone', volume => volume.zone_id),
  zonename: string('the name of its zone', volume => volume.zone_name),
  storageid: string('the primary storage it is on', volume => volume.pool_id),
  storage: string('the name of that storage', volume => volume.pool_name),
  storagetype: string('local or shared', () => 'local'),
  hypervisor: string('the hypervisor it is for', () => 'KVM'),
  path: string('its own disk layer', volume => volume.layer_id),
  templateid: string('the template it was made from', volume => volume.template_id),
  templatename: string('the name of that template', volume => volume.template_name),
  diskofferingid: string('its disk offering', volume => volume.disk_offering_id),
  diskofferingname: string('the name of that offering', volume => volume.disk_offering_name),
  serviceofferingid: string(
    'the service offering of its machine, for a root disk',
    volume => volume.service_offering_id,
  ),
  serviceofferingname: string('the name of that offering', volume => volume.service_offering_name),
  created: date('when it was made', volume => volume.created),
  destroyed: boolean('whether it is set aside with its machine', volume => volume.state === 'Destroy'),
  displayvolume: boolean('whether users see it', () => true),
  isextractable: boolean('whether it can be downloaded', () => false),
  tags: nested('its tags', tagView, volume => volume.tags),
})
