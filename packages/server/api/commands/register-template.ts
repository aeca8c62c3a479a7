import { objectCommand } from '../command.ts'
import { adopt } from '../adoption.ts'
import { demandHypervisor, hypervisorNames, isReached } from '../hypervisors.ts'
import { choice, flag, id, invalid } from '../parameters.ts'
import { registerImage, registrationParameters } from '../registration.ts'
import { templateView } from '../views/template.ts'

const formats = ['QCOW2', 'RAW', 'VMDK', 'VHDX', 'OVA'] as const

export const registerTemplate = objectCommand({
  name: 'registerTemplate',
  description:
    'Registers a bootable disk image as a template; it is fetched and examined in the background, see status and jobid. Or makes a template of what is in the inventory of a vCenter: url=inventory:PATH',
  permission: 'user',
  params: {
    ...registrationParameters,
    format: choice('what the file is; OVA for what is in an inventory', formats).must,
    hypervisor: choice('what it is for', [...hypervisorNames, 'Any']).must,
    clusterid: id<'cluster'>(
      'with url=inventory:PATH: the cluster whose inventory it is; may be left out where there is one',
    ),
    passwordenabled: flag('deploying it makes a password'),
    sshkeyenabled: flag('it takes SSH keys; true when absent'),
  },
  view: templateView,
  asList: true,
  async run({ app, caller, params }) {
    const flags = {
      password_enabled: params.passwordenabled ?? false,
      ssh_key_enabled: params.sshkeyenabled ?? true,
    }
    if (isReached(app, params.hypervisor)) return adopt(app, caller, params, flags)
    demandHypervisor(app, params.hypervisor)
    const { format } = params
    if (format === 'OVA') throw invalid('format', `is OVA; ${app.hypervisor} takes QCOW2, RAW, VMDK and VHDX`)
    return registerImage(app, caller, 'registerTemplate', params, { format, bootable: true, ...flags })
  },
})
