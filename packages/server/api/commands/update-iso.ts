import { objectCommand } from '../command.ts'
import { imageUpdateParameters, updateImage } from '../image-update.ts'
import { isoView } from '../views/iso.ts'

export const updateIso = objectCommand({
  name: 'updateIso',
  description: 'Changes what is told of an ISO',
  permission: 'user',
  params: imageUpdateParameters,
  view: isoView,
  run: ({ app, caller, params }) => updateImage(app, caller, 'iso', params),
})
