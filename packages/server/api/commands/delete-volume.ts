import { expungeVolume } from '../../jobs/destroy-volume.ts'
import { inTransaction } from '../../store/database.ts'
import { demandLoose, demandUnprotected, holdVolume, moveVolume } from '../../store/volumes.ts'
import { originOfCall } from '../caller.ts'
import { plainCommand } from '../command.ts'
import { id } from '../parameters.ts'
import { successView } from '../views/success.ts'
import { volumeOfCall } from '../volume-call.ts'

export const deleteVolume = plainCommand({
  name: 'deleteVolume',
  description: 'Deletes a volume that is attached to nothing, for good; its disk is removed in the background',
  permission: 'user',
  params: { id: id<'volume'>('the volume').must },
  answer: successView,
  async run({ app, caller, params }) {
    await volumeOfCall(app, caller, params.id)
    await inTransaction(app.db, async tx => {
      const volume = await holdVolume(tx, params.id)
      await demandLoose(tx, volume)
      demandUnprotected(volume)
      await moveVolume(tx, volume.id, 'DestroyRequested')
      await expungeVolume(tx, volume, app.jobs, originOfCall(caller, 'deleteVolume'))
    })
    return { success: true }
  },
})
