import { objectCommand } from '../command.ts'
import { imageUpdateParameters, updateImage } from '../image-update.ts'
import { flag } from '../parameters.ts'
import { templateView } from '../views/template.ts'

export const updateTemplate = objectCommand({
  name: 'updateTemplate',
  description: 'Changes what is told of a template, and what deploying it does; machines made from it stay as they are',
  permission: 'user',
  params: {
    ...imageUpdateParameters,
    passwordenabled: flag('deploying it makes a password'),
    sshkeyenabled: flag('it takes SSH keys'),
  },
  view: templateView,
  run: ({ app, caller, params }) => updateImage(app, caller, 'template', params),
})
