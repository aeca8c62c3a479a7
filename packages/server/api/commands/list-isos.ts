import { listCommand } from '../command.ts'
import { imageFilters, imageListParameters, imagePage, selectImages } from '../image-list.ts'
import { choice, flag } from '../parameters.ts'
import { isoView } from '../views/iso.ts'

export const listIsos = listCommand({
  name: 'listIsos',
  description: 'Lists ISOs',
  permission: 'user',
  params: {
    ...imageListParameters,
    isofilter: choice('which; selfexecutable when absent', imageFilters),
    bootable: flag('only those that machines can start from, or only the others'),
    ispublic: flag('only those that everybody may use, or only the others'),
  },
  view: isoView,
  run({ app, caller, params, page }) {
    const { bootable, ispublic } = params
    let isos = selectImages(app, caller, 'iso', params.isofilter ?? 'selfexecutable', params, page)
    if (bootable !== undefined) isos = isos.where('template.bootable', '=', bootable)
    if (ispublic !== undefined) isos = isos.where('template.is_public', '=', ispublic)
    return imagePage(isos, page)
  },
})
