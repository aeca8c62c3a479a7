import { plainCommand } from '../command.ts'
import { id, integer } from '../parameters.ts'
import { vmOfCall } from '../vm-call.ts'

export const getConsoleLog = plainCommand({
  name: 'getConsoleLog',
  description: 'The end of what a virtual machine wrote to its serial console',
  permission: 'user',
  params: {
    id: id<'vm'>('the virtual machine').must,
    bytes: integer('at most so many bytes; 65536 when absent', 1, 2 ** 20),
  },
  async run({ app, caller, params }) {
    const vm = await vmOfCall(app, caller, params.id)
    const log = await app.consoleLog(vm.id, params.bytes ?? 65_536)
    return { consolelog: { virtualmachineid: vm.id, output: Buffer.from(log).toString('utf8') } }
  },
})
