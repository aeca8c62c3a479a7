import { stateAfterRecovery } from '@ramet/core/volume.ts'
import { recordEvent } from '../../store/events.ts'
import { holdRoom } from '../../store/limits.ts'
import { type ListedVolume } from '../../store/volume-list.ts'
import { demandLoose, holdVolume, setVolume, wrongVolumeState } from '../../store/volumes.ts'
import { objectCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { volumeView } from '../views/volume.ts'
import { listedVolume, volumeOfCall } from '../volume-call.ts'

export const recoverVolume = objectCommand({
  name: 'recoverVolume',
  description: 'Brings back a volume that destroyVolume set aside',
  permission: 'user',
  params: { id: id<'volume'>('the volume').must },
  view: volumeView,
  async run({ app, caller, params }): Promise<ListedVolume> {
    await volumeOfCall(app, caller, params.id)
    await app.db.transaction().execute(async tx => {
      const volume = await holdVolume(tx, params.id)
      await demandLoose(tx, volume)
      if (volume.state !== 'Destroy') throw wrongVolumeState(volume, 'recovering it')
      await holdRoom(tx, volume.account_id, { volume: 1, primaryBytes: volume.size_bytes })
      await setVolume(tx, volume.id, { state: stateAfterRecovery(volume), destroyed: null })
      await recordEvent(tx, {
        type: 'VOLUME.RECOVER',
        description: `recovered volume ${volume.name}`,
        account: volume.account_id,
        user: caller.user.id,
        resourceType: 'Volume',
        resource: volume.id,
      })
    })
    return (await listedVolume(app, params.id)) as ListedVolume
  },
})
