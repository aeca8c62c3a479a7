// An entry of the audit trail on the wire.
import type { Row } from '../../store/tables.ts'
import { boolean, date, string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'

export type ListedEvent = Row<'event'> & {
  readonly username: string | null
  readonly account_name: string
  readonly domain_id: string
  readonly domain_name: string
  readonly domain_path: string
}

export const eventView = view<ListedEvent>('event', {
  id: string('the id of the event', event => event.id),
  type: string('what happened, such as VM.START', event => event.type),
  level: string('INFO, WARN or ERROR', event => event.level),
  state: string('Created, Scheduled, Started or Completed', event => event.state),
  description: string('what happened, for people', event => event.description),
  parentid: string('the event that began the operation', event => event.start_event_id),
  resourcetype: string('the kind of what it happened to', event => event.resource_type),
  resourceid: string('the id of what it happened to', event => event.resource_id),
  username: string('the user whose call it was', event => event.username),
  account: string('the account it concerns', event => event.account_name),
  domainid: string('the domain of that account', event => event.domain_id),
  domain: string('the name of that domain', event => event.domain_name),
  domainpath: string('the path of that domain', event => pathOnWire(event.domain_path)),
  archived: boolean('whether it was put aside', () => false),
  created: date('when it happened', event => event.created),
})

export const eventTypeView = view<string>('eventtype', {
  name: string('the name of the event type', name => name),
})
