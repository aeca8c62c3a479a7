import { selectRules } from '../../store/port-forwarding.ts'
import { hasTags } from '../../store/tags.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { flag, id } from '../parameters.ts'
import { narrowTo, pageOf } from '../query.ts'
import { tagFilter } from '../tags.ts'
import { portForwardingRuleView } from '../views/port-forwarding-rule.ts'

export const listPortForwardingRules = listCommand({
  name: 'listPortForwardingRules',
  description: 'Lists rules for forwarding ports; those for the SSH of machines are the sshaddress of the machines',
  permission: 'user',
  params: {
    ...ownershipParameters,
    ...tagFilter,
    id: id<'port-forwarding-rule'>('the rule'),
    ipaddressid: id<'public-ip'>('those on a public IP address'),
    networkid: id<'network'>('those into a network'),
    virtualmachineid: id<'vm'>('those to a machine'),
    fordisplay: flag('accepted for its clients; users see all rules'),
  },
  view: portForwardingRuleView,
  async run({ app, caller, params, page }) {
    let rules = selectRules(app.db).orderBy('port_forwarding_rule.created').orderBy('port_forwarding_rule.id')
    rules = narrowToOwner(rules, 'port_forwarding_rule.account_id', caller, params)
    rules = narrowTo(rules.where(hasTags('port_forwarding_rule.id', params.tags)), {
      'port_forwarding_rule.id': params.id,
      'port_forwarding_rule.public_ip_id': params.ipaddressid,
      'nic.network_id': params.networkid,
      'vm.id': params.virtualmachineid,
    })
    return pageOf(rules, page)
  },
})
