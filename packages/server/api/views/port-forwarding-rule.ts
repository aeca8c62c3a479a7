// A rule for forwarding a port on the wire. Ports are text there, as everywhere in CloudStack's rules.
import type { ListedRule } from '../../store/port-forwarding.ts'
import { boolean, nested, string, view } from '../view.ts'
import { tagView } from './tag.ts'

export const portForwardingRuleView = view<ListedRule>('portforwardingrule', {
  id: string('the id of the rule', rule => rule.id),
  ipaddressid: string('the public IP address that it is on', rule => rule.public_ip_id),
  ipaddress: string('that address', rule => rule.address),
  protocol: string('tcp', () => 'tcp'),
  publicport: string('the port there', rule => String(rule.public_port)),
  publicendport: string('the same: a rule is for one port', rule => String(rule.public_port)),
  privateport: string('the port of the machine that it leads to', rule => String(rule.private_port)),
  privateendport: string('the same', rule => String(rule.private_port)),
  virtualmachineid: string('the machine that it leads to', rule => rule.vm_id),
  virtualmachinename: string('the host name of that machine', rule => rule.vm_name),
  virtualmachinedisplayname: string('the label of that machine', rule => rule.display_name),
  vmguestip: string('the address of that machine', rule => rule.ip_address),
  networkid: string('the network that it leads into', rule => rule.network_id),
  state: string('Add, Active, or Deleting', rule => (rule.state === 'Revoke' ? 'Deleting' : rule.state)),
  cidrlist: string('who may come: everybody who reaches the address', () => ''),
  fordisplay: boolean('whether users see it', () => true),
  tags: nested('its tags', tagView, rule => rule.tags),
})
