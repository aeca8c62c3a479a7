// Ends a volume that was set aside: its record at once, its disk by a job that follows, unless something stands on that.
import type { Tx } from '../store/database.ts'
import { recordEvent } from '../store/events.ts'
import { retireVolume, type Volume } from '../store/volumes.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import type { JobOrigin, JobStarter } from './tools.ts'

export async function expungeVolume(tx: Tx, volume: Volume, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  await retireVolume(tx, volume.id)
  if (volume.layer_id) await removeIfUnneeded(tx, volume.layer_id, jobs, { ...origin, command: 'removeLayer' })
  await recordEvent(tx, {
    type: 'VOLUME.DELETE',
    description: `deleted volume ${volume.name}`,
    account: volume.account_id,
    user: origin.user,
    resourceType: 'Volume',
    resource: volume.id,
  })
}
