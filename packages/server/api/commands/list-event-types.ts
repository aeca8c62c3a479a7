import { listCommand } from '../command.ts'
import { pageOfAll } from '../query.ts'
import { eventTypeView } from '../views/event.ts'

export const listEventTypes = listCommand({
  name: 'listEventTypes',
  description: 'Lists the types of events that have happened',
  permission: 'user',
  params: {},
  view: eventTypeView,
  async run({ app, page }) {
    const rows = await app.db.selectFrom('event').select('type').distinct().orderBy('type').execute()
    return pageOfAll(
      rows.map(row => row.type),
      page,
    )
  },
})
