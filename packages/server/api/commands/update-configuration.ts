import { settingRefusal } from '@ramet/core/settings.ts'
import { objectCommand } from '../command.ts'
import { invalid, text } from '../parameters.ts'
import { changeSetting, demandSetting, scopeParameters } from '../settings.ts'
import { configurationView } from '../views/configuration.ts'

export const updateConfiguration = objectCommand({
  name: 'updateConfiguration',
  description: 'Changes a setting, for everybody or for a storage pool',
  permission: 'admin',
  params: {
    name: text('name of the setting').must,
    value: text('new value', 4096),
    ...scopeParameters,
  },
  view: configurationView,
  async run({ app, caller, params: { name, value, ...scope } }) {
    const target = await demandSetting(app, name, scope)
    if (value === undefined) throw invalid('value', 'is missing')
    const refusal = settingRefusal(target.setting, value)
    if (refusal) throw invalid('value', `does not suit: ${refusal}`)
    const { pool } = target
    return changeSetting(app, caller, target, `set ${name} to ${value}`, tx =>
      pool
        ? tx
            .insertInto('storage_pool_configuration')
            .values({ pool_id: pool, name, value })
            .onConflict(row => row.columns(['pool_id', 'name']).doUpdateSet({ value, updated: new Date() }))
            .execute()
        : tx
            .insertInto('configuration')
            .values({ name, value })
            .onConflict(row => row.column('name').doUpdateSet({ value, updated: new Date() }))
            .execute(),
    )
  },
})
