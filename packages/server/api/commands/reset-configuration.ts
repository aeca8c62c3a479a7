import { objectCommand } from '../command.ts'
import { text } from '../parameters.ts'
import { changeSetting, demandSetting, scopeParameters } from '../settings.ts'
import { configurationView } from '../views/configuration.ts'

export const resetConfiguration = objectCommand({
  name: 'resetConfiguration',
  description: 'Gives a setting its default again; for a storage pool: the value that all others have',
  permission: 'admin',
  params: {
    name: text('name of the setting').must,
    ...scopeParameters,
    imagestoreid: text('settings of image stores; there are none'),
  },
  view: configurationView,
  async run({ app, caller, params: { name, imagestoreid, ...scope } }) {
    const imagestoreuuid = scope.imagestoreuuid ?? imagestoreid
    const target = await demandSetting(app, name, { ...scope, imagestoreuuid })
    const { pool } = target
    return changeSetting(app, caller, target, `reset ${name}`, tx =>
      pool
        ? tx.deleteFrom('storage_pool_configuration').where('pool_id', '=', pool).where('name', '=', name).execute()
        : tx.deleteFrom('configuration').where('name', '=', name).execute(),
    )
  },
})
