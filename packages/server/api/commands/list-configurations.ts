import { type Setting, settings } from '@ramet/core/settings.ts'
import { listCommand } from '../command.ts'
import type { Page } from '../paging.ts'
import { text } from '../parameters.ts'
import { pageOfAll } from '../query.ts'
import { demandPool, demandSetting, hasForeignScope, scopeParameters, shownSetting } from '../settings.ts'
import { configurationView } from '../views/configuration.ts'

export const listConfigurations = listCommand({
  name: 'listConfigurations',
  description: 'Lists settings and their values, for everybody or as they are for a storage pool',
  permission: 'admin',
  params: {
    name: text('exact name'),
    category: text('those of a category'),
    ...scopeParameters,
  },
  view: configurationView,
  async run({ app, params, page }) {
    const pool = params.storageid ?? null
    if (params.name) {
      const { setting } = await demandSetting(app, params.name, params)
      return pageOfAll([shownSetting(app, setting, pool)], page)
    }
    if (hasForeignScope(params)) return { count: 0, items: [] }
    if (pool) await demandPool(app, pool)
    const wanted = settings.filter(each => isWanted(each, params.category, page))
    const inScope = wanted.filter(each => !pool || each.scope === 'StoragePool')
    const sorted = inScope.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    return pageOfAll(
      sorted.map(each => shownSetting(app, each, pool)),
      page,
    )
  },
})

function isWanted(setting: Setting, category: string | undefined, { keyword = '' }: Page): boolean {
  if (category && setting.category.toLowerCase() !== category.toLowerCase()) return false
  return [setting.name, setting.description].some(part => part.toLowerCase().includes(keyword.toLowerCase()))
}
