import { newId } from '@ramet/core/ids.ts'
import { createPortForwarding } from '../../jobs/create-port-forwarding.ts'
import { inTransaction } from '../../store/database.ts'
import { insertRule } from '../../store/port-forwarding.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { flag, id, invalid, text } from '../parameters.ts'
import {
  demandOnePort,
  demandPublicPort,
  demandSegment,
  nicOfCall,
  publicPort,
  ruleResult,
  targetParameters,
} from '../port-forwarding-call.ts'
import { publicIpOfCall } from '../public-ip-call.ts'

export const createPortForwardingRule = jobCommand({
  name: 'createPortForwardingRule',
  description: 'Leads a port of a public IP address to a port of a machine',
  permission: 'user',
  params: {
    ipaddressid: id<'public-ip'>('the public IP address').must,
    protocol: text('tcp; there is no other').must,
    publicport: publicPort.must,
    publicendport: publicPort,
    ...targetParameters,
    privateport: targetParameters.privateport.must,
    virtualmachineid: targetParameters.virtualmachineid.must,
    networkid: id<'network'>('the network of the address'),
    cidrlist: text('0.0.0.0/0: everybody who reaches the address may come'),
    openfirewall: flag('accepted for its clients; a rule is open as it is'),
    fordisplay: flag('accepted for its clients; users see all rules'),
  },
  result: ruleResult,
  async run({ app, caller, params }) {
    if (params.protocol.toLowerCase() !== 'tcp')
      throw invalid('protocol', `must be tcp, which alone is forwarded; it is "${params.protocol}"`)
    if (params.cidrlist && params.cidrlist !== '0.0.0.0/0')
      throw invalid(
        'cidrlist',
        'must be 0.0.0.0/0 or absent: rules do not look at who comes. A firewall of the host can',
      )
    demandOnePort('publicendport', params.publicport, params.publicendport)
    demandOnePort('privateendport', params.privateport, params.privateendport)
    demandPublicPort(params.publicport)
    const ip = await publicIpOfCall(app, caller, params.ipaddressid, 'ipaddressid')
    if (params.networkid && params.networkid !== ip.network_id)
      throw invalid('networkid', 'is another network than that of the public address; leave it out')
    const network = await demandSegment(app, ip.network_id)
    const target = { vm: params.virtualmachineid, address: params.vmguestip }
    const nic = await nicOfCall(app, caller, network, ip.account_id, target)
    const rule = newId<'port-forwarding-rule'>()
    const row = { id: rule, account_id: ip.account_id, public_ip_id: ip.id, address: ip.address, nic_id: nic }
    return inTransaction(app.db, async tx => {
      await insertRule(tx, { ...row, public_port: params.publicport, private_port: params.privateport })
      const origin = originOfCall(caller, 'createPortForwardingRule')
      return { id: rule, jobid: await app.jobs.start(tx, createPortForwarding, { rule }, origin) }
    })
  },
})
