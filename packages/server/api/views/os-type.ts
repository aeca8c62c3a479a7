// Guest operating systems and their families on the wire.
import type { Row } from '../../store/tables.ts'
import { boolean, string, view } from '../view.ts'

export const osTypeView = view<Row<'os_type'> & { readonly category_name: string }>('ostype', {
  id: string('the id of the operating system', type => type.id),
  name: string('its name', type => type.description),
  description: string('its name', type => type.description),
  oscategoryid: string('its family', type => type.category_id),
  oscategoryname: string('the name of its family', type => type.category_name),
  isuserdefined: boolean('whether an administrator added it', () => false),
  fordisplay: boolean('whether users see it', () => true),
})

export const osCategoryView = view<Row<'os_category'>>('oscategory', {
  id: string('the id of the family', category => category.id),
  name: string('its name', category => category.name),
})
