// What the commands on one NIC of a machine have in common: finding it for the machine's owner.
import type { App } from '../app.ts'
import type { Row } from '../store/tables.ts'
import type { Vm } from '../store/vms.ts'
import { type Caller, unknownId } from './caller.ts'
import { id, type Values } from './parameters.ts'
import { vmOfCall } from './vm-call.ts'

export const nicParameters = {
  virtualmachineid: id<'vm'>('the virtual machine').must,
  nicid: id<'nic'>('a NIC of it').must,
}

export async function nicOfCall(
  app: App,
  caller: Caller,
  { virtualmachineid, nicid }: Values<typeof nicParameters>,
): Promise<{ vm: Vm; nic: Row<'nic'> }> {
  const vm = await vmOfCall(app, caller, virtualmachineid, 'virtualmachineid')
  const nics = app.db.selectFrom('nic').selectAll().where('vm_id', '=', vm.id)
  const nic = await nics.where('id', '=', nicid).executeTakeFirst()
  if (!nic) throw unknownId('nicid', nicid)
  return { vm, nic }
}
