import { objectCommand } from '../command.ts'
import { flag } from '../parameters.ts'
import { registerImage, registrationParameters } from '../registration.ts'
import { isoView } from '../views/iso.ts'

export const registerIso = objectCommand({
  name: 'registerIso',
  description: 'Registers a CD image; it is fetched and examined in the background, see status and jobid',
  permission: 'user',
  params: { ...registrationParameters, bootable: flag('machines can start from it; true when absent') },
  view: isoView,
  asList: true,
  run: ({ app, caller, params }) =>
    registerImage(app, caller, 'registerIso', params, {
      format: 'ISO',
      password_enabled: false,
      ssh_key_enabled: false,
      bootable: params.bootable ?? true,
    }),
})
