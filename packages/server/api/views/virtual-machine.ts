// A virtual machine on the wire: CloudStack's fields, and Ramet's own (clonetype, chaindepth, deltas, …).
import { allowedFrom, refusal, type VmAction } from '@ramet/core/vm.ts'
import type { ListedTag } from '../../store/tags.ts'
import type { Lineage, ListedVm } from '../../store/vm-list.ts'
import { boolean, date, forAdmins, integer, list, long, map, nested, string, view } from '../view.ts'
import { nicView } from './nic.ts'
import { tagView } from './tag.ts'

export type VmOnWire = ListedVm & {
  /** The call asked for the user data too. */
  readonly tellsUserData?: boolean
  readonly lineage?: Lineage | undefined
  readonly tags?: readonly ListedTag[]
  /** Told once, by the deployment that made it. */
  readonly password?: string | undefined
}

const memberView = view<ListedVm['affinities'][number]>('affinitygroup', {
  id: string('the id of the group', group => group.id),
  name: string('its name', group => group.name),
  type: string('host affinity or host anti-affinity', group => group.type),
  description: string('its description', group => group.description),
})

export const virtualMachineView = view<VmOnWire>('virtualmachine', {
  id: string('the id of the virtual machine', vm => vm.id),
  name: string('its host name', vm => vm.name),
  displayname: string('its label for people', vm => vm.display_name),
  instancename: forAdmins(string('its name on the hypervisor', vm => vm.instance_name)),
  state: string('Starting, Running, Stopping, Stopped, Restoring, Destroyed, Expunging, Error', vm =>
    vm.removed ? 'Expunged' : vm.state,
  ),
  error: string('why it is in Error', vm => (vm.state === 'Error' ? vm.error : null)),
  account: string('the account that owns it', vm => vm.account_name),
  domain: string('the domain of its account', vm => vm.domain_name),
  domainid: string('the id of that domain', vm => vm.domain_id),
  domainpath: string('the path of that domain', vm => vm.domain_path),
  userid: string('the user who made it', vm => vm.user_id),
  username: string('the name of that user', vm => vm.username),
  created: date('when it was made', vm => vm.created),
  lastupdated: date('when its state last changed', vm => vm.updated),
  zoneid: string('its zone', vm => vm.zone_id),
  zonename: string('the name of its zone', vm => vm.zone_name),
  hostid: forAdmins(string('the host it runs on', vm => vm.host_id)),
  hostname: forAdmins(string('the name of that host', vm => vm.host_name)),
  hypervisor: string('its hypervisor', vm => vm.hypervisor),
  templateid: string('the template it was made from', vm => vm.template_id),
  templatename: string('the name of that template', vm => vm.template_name),
  templatedisplaytext: string('the description of that template', vm => vm.template_display_text),
  templateformat: string('the format of that template', vm => vm.template_format),
  isoid: string('the ISO in its CD-ROM drive', vm => vm.iso_id),
  isoname: string('the name of that ISO', vm => vm.iso_name),
  isodisplaytext: string('the description of that ISO', vm => vm.iso_display_text),
  ostypeid: string('the guest operating system', vm => vm.guest_os_id),
  guestosid: string('the guest operating system', vm => vm.guest_os_id),
  osdisplayname: string('the name of that operating system', vm => vm.guest_os_name),
  passwordenabled: boolean('whether deploying it made a password', vm => vm.password_enabled ?? false),
  password: string('the password of the guest, told once', vm => vm.password),
  serviceofferingid: string('its service offering', vm => vm.service_offering_id),
  serviceofferingname: string('the name of that offering', vm => vm.service_offering_name),
  cpunumber: integer('virtual CPUs', vm => vm.cpus),
  cpuspeed: integer('MHz of each', vm => vm.cpu_mhz),
  memory: integer('memory in MiB', vm => vm.memory_mib),
  rootdeviceid: long('the place of its root disk', vm => vm.root_device_id),
  rootdevicetype: string('ROOT', () => 'ROOT'),
  tags: nested('its tags', tagView, vm => vm.tags),
  nic: nested('its network interfaces', nicView, vm => vm.nics),
  ipaddress: string('the address of its default NIC', vm => vm.nics.find(nic => nic.is_default)?.ip_address),
  keypairs: string('names of its SSH keys', vm => vm.keypairs),
  // Ansible's modules look only here, and restart a machine whose key seems to be another.
  keypair: string('the name of its SSH key, when it has one only', vm => soleName(vm.keypairs)),
  group: string('its instance group', vm => vm.group_name),
  groupid: string('the id of that group', vm => vm.group_id),
  affinitygroup: nested('its affinity groups', memberView, vm => vm.affinities),
  userdata: string('its user data, base64, where the call asks for it', vm => (vm.tellsUserData ? vm.user_data : null)),
  details: map('what was said in details', vm => (Object.keys(vm.details).length > 0 ? vm.details : null)),
  haenable: boolean('as it was said; machines are not restarted elsewhere yet', vm => vm.ha_enabled),
  displayvm: boolean('whether users see it', () => true),
  deleteprotection: boolean('whether destroying it is refused', vm => vm.delete_protection),
  isdynamicallyscalable: boolean('whether CPUs and memory change while it runs', () => false),
  clonetype: string('full, linked, or instant: linked, and it went on from the memory of its source', vm =>
    vm.is_instant ? 'instant' : (vm.clone_type ?? 'linked'),
  ),
  frozen: boolean('whether it stands still as a source for clones', vm => vm.is_frozen),
  chaindepth: integer('disk layers from the base to its own', vm => vm.lineage?.depth ?? vm.root_disk_depth),
  sharedbytes: long('bytes of disk layers that others may share', vm => vm.lineage?.sharedBytes),
  exclusivebytes: long('bytes of its own disk layer', vm => vm.lineage?.exclusiveBytes ?? vm.root_disk_bytes),
  deltas: integer(
    'delta disks of others on what its root disk wrote; those on an instant that stands still cost it nothing and do not count',
    vm => vm.lineage?.deltas,
  ),
  customized: boolean(
    'false for an instant clone that still shares something with its source in its guest',
    vm => vm.customized,
  ),
  identityproblems: list('what is not confirmed to be its own, in plain words', vm => vm.identity_problems),
  inventoryproblems: list(
    'what somebody else did to it in its vCenter: VM snapshots taken or removed there, or the machine itself, in plain words',
    vm => vm.inventory_problems,
  ),
  sshaddress: string('HOST:PORT that reaches its SSH server', vm => sshAddress(vm)),
  actions: list('what may be asked of it now', vm => actionsOf(vm)),
  jobid: string('the job at work on it', vm => vm.job_id),
  jobstatus: integer('0 while that job is at work', vm => (vm.job_id ? 0 : undefined)),
})

function sshAddress({ state, nics }: VmOnWire): string | undefined {
  const port = nics.find(nic => nic.is_default)?.ssh_port
  return state === 'Running' && port ? `127.0.0.1:${port}` : undefined
}

const actions = Object.keys(allowedFrom) as VmAction[]

function actionsOf(vm: VmOnWire): VmAction[] {
  return vm.job_id || vm.removed ? [] : actions.filter(action => refusal(vm, action) === null)
}

function soleName(names: string | null): string | null {
  return names?.includes(',') ? null : names
}
