import { changeVm } from '../../jobs/change-vm.ts'
import { Problem } from '@ramet/core/problem.ts'
import { demandAction } from '../../store/vms.ts'
import { jobCommand } from '../command.ts'
import { id, invalid, text } from '../parameters.ts'
import { startVmJob, vmOfCall, vmResult } from '../vm-call.ts'

export const resetPasswordForVirtualMachine = jobCommand({
  name: 'resetPasswordForVirtualMachine',
  description:
    'Makes a new password for a stopped virtual machine and tells it once, in the result; the guest has it from its next start',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    password: text('the password; one is made up when absent', 128),
  },
  result: vmResult,
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    demandAction(vm, 'resetpassword')
    if (params.password !== undefined && !/^[\x21-\x7e]{8,}$/.test(params.password))
      throw invalid('password', 'must be 8 to 128 printable ASCII characters without spaces')
    const template =
      vm.template_id &&
      (await app.db.selectFrom('template').selectAll().where('id', '=', vm.template_id).executeTakeFirst())
    if (!template || !template.password_enabled)
      throw new Problem(
        'refused',
        'password-not-enabled',
        `The template of virtual machine ${vm.name} is not password-enabled, so its guest would not take a password`,
      )
    const password = params.password ? await app.passwords.of(params.password) : await app.passwords.take()
    const change = { to: 'password', password } as const
    return startVmJob(app, caller, 'resetPasswordForVirtualMachine', changeVm, { vm: vm.id, change })
  },
})
