// A cut of which nobody knew whether it was made, for the hypervisor did not answer, was taken for made (cut-disks.ts). Where the
// machine turns out to write the old layer still, it is the disk's again, and the new one, which nobody wrote, goes: a machine that
// had changed over would never go back to a layer below by itself.
import type { LayerId } from '@ramet/core/ids.ts'
import { diskOver } from '../store/layer-removal.ts'
import { setVolume, volumeById } from '../store/volumes.ts'
import type { RecordContext } from './define-job.ts'

/** Gives layer `old` back to its disk where a running machine writes it; answers the layer that is of no use then. */
export async function uncut({ tx, driver }: RecordContext<object, object>, old: LayerId): Promise<LayerId | null> {
  const over = await diskOver(tx, old)
  const active = over && (await driver.machines.activeLayers(over.vm))
  const volume = active && (await volumeById(tx, over.volume))
  if (!volume?.layer_id || active?.get(volume.device_id ?? 0) !== old) return null
  await setVolume(tx, volume.id, { layer_id: old })
  return volume.layer_id
}
