import { changeVm } from '../../jobs/change-vm.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { chosenKeys } from '../deployment.ts'
import { ownerOf, ownerParameters } from '../ownership.ts'
import { id, invalid, list, text } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const resetSSHKeyForVirtualMachine = jobCommand({
  name: 'resetSSHKeyForVirtualMachine',
  description:
    'Gives a stopped virtual machine other SSH keys instead of its own; the guest has them from its next start',
  permission: 'user',
  envelope: 'resetSSHKeyforvirtualmachineresponse',
  params: {
    ...ownerParameters,
    id: id<'vm'>('the virtual machine').must,
    keypair: text('name of an SSH key'),
    keypairs: list('names of SSH keys', text('a name')),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    demandAction(vm, 'resetsshkey')
    const names = [...(params.keypairs ?? []), ...(params.keypair ? [params.keypair] : [])]
    if (names.length === 0) throw invalid('keypairs', 'is missing; name the SSH keys that the machine shall have')
    const owner = await keyOwner()
    const keys = await chosenKeys(app, owner, names)
    const change = { to: 'keys', keys } as const
    return startVmJob(app, caller, 'resetSSHKeyForVirtualMachine', changeVm, { vm: vm.id, change })

    /** The machine's owner has the keys, unless the call names another account. */
    async function keyOwner() {
      if (params.account !== undefined || params.domainid !== undefined) return ownerOf(app, caller, params)
      return app.db.selectFrom('account').selectAll().where('id', '=', vm.account_id).executeTakeFirstOrThrow()
    }
  },
})
