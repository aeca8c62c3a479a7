import { mayUse } from '../caller.ts'
import { listCommand } from '../command.ts'
import { describeApi } from '../describe.ts'
import { text } from '../parameters.ts'
import { apiView } from '../views/api.ts'

export const listApis = listCommand({
  name: 'listApis',
  description: 'Lists the commands that the caller may use, with parameters and answers',
  permission: 'user',
  params: { name: text('exact name of one command') },
  view: apiView,
  async run({ caller, params }) {
    // At run time: the list of commands holds this one too, and neither could be made before the other.
    const { commands } = await import('./index.ts')
    const open = describeApi(commands).filter(({ permission }) => mayUse(caller, permission))
    const named = params.name?.toLowerCase()
    const items = named ? open.filter(api => api.name.toLowerCase() === named) : open
    return { count: items.length, items }
  },
})
