import { objectCommand } from '../command.ts'
import { demandHypervisor, hypervisorNames } from '../hypervisors.ts'
import { choice, flag } from '../parameters.ts'
import { registerImage, registrationParameters } from '../registration.ts'
import { templateView } from '../views/template.ts'

const formats = ['QCOW2', 'RAW', 'VMDK', 'VHDX'] as const

export const registerTemplate = objectCommand({
  name: 'registerTemplate',
  description:
    'Registers a bootable disk image as a template; it is fetched and examined in the background, see status and jobid',
  permission: 'user',
  params: {
    ...registrationParameters,
    format: choice('what the file is', formats).must,
    hypervisor: choice('what it is for', [...hypervisorNames, 'Any']).must,
    passwordenabled: flag('deploying it makes a password'),
    sshkeyenabled: flag('it takes SSH keys; true when absent'),
  },
  view: templateView,
  asList: true,
  run({ app, caller, params }) {
    demandHypervisor(app, params.hypervisor)
    return registerImage(app, caller, 'registerTemplate', params, {
      format: params.format,
      password_enabled: params.passwordenabled ?? false,
      ssh_key_enabled: params.sshkeyenabled ?? true,
      bootable: true,
    })
  },
})
