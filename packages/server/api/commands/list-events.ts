import type { Database } from '../../store/database.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { choice, date, flag, id, type Parameter, text } from '../parameters.ts'
import { narrowTo, pageOf, reads } from '../query.ts'
import { eventView } from '../views/event.ts'

const end = date('those until then; a day without a time is meant whole')

/** `2026-01-31` as an end includes that day. */
const untilEndOfDay: Parameter<Date | undefined> = {
  ...end,
  read: (name, raw) => {
    const time = end.read(name, raw)
    const isDay = /^\d{4}-\d\d-\d\d$/.test(raw.get(name) ?? '')
    return time && isDay ? new Date(time.getTime() + 86_399_999) : time
  },
}

export const listEvents = listCommand({
  name: 'listEvents',
  description: 'Lists what happened, newest first',
  permission: 'user',
  params: {
    ...ownershipParameters,
    id: id<'event'>('the event'),
    type: text('those of a type, such as VM.START'),
    level: choice('those of a level', ['INFO', 'WARN', 'ERROR']),
    state: text('Created, Scheduled, Started or Completed'),
    startdate: date('those since then'),
    enddate: untilEndOfDay,
    startid: id<'event'>('an event that began an operation, and all that belong to it'),
    resourceid: id<'resource'>('those of a resource; its kind is resourcetype'),
    resourcetype: text('kind of that resource, such as VirtualMachine'),
    archived: flag('those put aside, of which there are none'),
  },
  view: eventView,
  run: async ({ app, caller, params, page }) => {
    if (params.archived) return { count: 0, items: [] }
    const { startid } = params
    let events = narrowToOwner(selectEvents(app.db), 'event.account_id', caller, params)
    events = narrowTo(events, {
      'event.id': params.id,
      'event.type': params.type,
      'event.level': params.level,
    })
    if (params.state) events = events.where(reads('event.state', params.state))
    if (params.startdate) events = events.where('event.created', '>=', params.startdate)
    if (params.enddate) events = events.where('event.created', '<=', params.enddate)
    if (startid) events = events.where(eb => eb.or([eb('event.id', '=', startid), eb('start_event_id', '=', startid)]))
    if (params.resourceid) events = events.where('event.resource_id', '=', params.resourceid)
    if (params.resourcetype) events = events.where(reads('event.resource_type', params.resourcetype))
    if (page.keyword) events = events.where('event.description', 'ilike', containing(page.keyword))
    return pageOf(events, page)
  },
})

function selectEvents(db: Database) {
  return db
    .selectFrom('event')
    .innerJoin('account', 'account.id', 'event.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .leftJoin('user', 'user.id', 'event.user_id')
    .selectAll('event')
    .select(['user.username', 'account.name as account_name', 'domain.id as domain_id'])
    .select(['domain.name as domain_name', 'domain.path as domain_path'])
    .orderBy('event.sequence', 'desc')
}
