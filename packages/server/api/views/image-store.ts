// A secondary storage on the wire.
import type { Row } from '../../store/tables.ts'
import { boolean, long, string, view } from '../view.ts'

export type ListedImageStore = Row<'image_store'> & { readonly zone_name: string }

export const imageStoreView = view<ListedImageStore>('imagestore', {
  id: string('the id of the image store', store => store.id),
  name: string('its name', store => store.name),
  url: string('where it is', store => `file://${store.path}`),
  protocol: string('how it is reached', () => 'file'),
  providername: string('what kind it is', store => store.provider),
  disksizetotal: long('bytes in all', store => store.total_bytes),
  disksizeused: long('bytes in use', store => store.total_bytes - store.free_bytes),
  error: string('why it is not there, if it is not', store => store.problem),
  scope: string('ZONE: all hosts of its zone use it', () => 'ZONE'),
  zoneid: string('its zone', store => store.zone_id),
  zonename: string('the name of its zone', store => store.zone_name),
  readonly: boolean('whether nothing new is put there', store => store.read_only),
})
