// A tag on the wire.
import type { ListedTag } from '../../store/tags.ts'
import { string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'

export const tagView = view<ListedTag>('tag', {
  key: string('its key', tag => tag.key),
  value: string('its value', tag => tag.value),
  resourcetype: string('the kind of what it is on', tag => tag.resource_type),
  resourceid: string('the id of what it is on', tag => tag.resource_id),
  customer: string('who put it there, as they said', tag => tag.customer),
  account: string('the account that owns what it is on', tag => tag.account_name),
  domainid: string('the domain of that account', tag => tag.domain_id),
  domain: string('the name of that domain', tag => tag.domain_name),
  domainpath: string('the path of that domain', tag => tag.domain_path && pathOnWire(tag.domain_path)),
})
