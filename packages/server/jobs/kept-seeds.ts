// Seeds that machines stand on, where the hypervisor keeps the disks of both: a seed stays while a volume names it, whether its VM snapshot
// is there or not.
import type { LayerId, VmId } from '@ramet/core/ids.ts'
import { standOn } from '../store/clone-sources.ts'
import type { Tx } from '../store/database.ts'
import { holdReadyLayer } from '../store/layers.ts'
import { setVolume, volumesOf } from '../store/volumes.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import type { JobOrigin, JobStarter } from './tools.ts'

/** The root disk is going to stand on the seed, which cannot go from this moment. */
export async function standOnSeed(tx: Tx, vm: VmId, seed: LayerId): Promise<void> {
  await holdReadyLayer(tx, seed)
  const [root] = await volumesOf(tx, vm)
  if (root) await setVolume(tx, root.id, { seed_id: seed })
}

/** What stands right on the disk of a machine stands on whatever that stands on, and keeps it. */
export async function standAsOf(tx: Tx, vm: VmId, source: VmId): Promise<void> {
  await standOn(tx, vm, source)
  const [root] = await volumesOf(tx, source)
  if (root?.seed_id) await standOnSeed(tx, vm, root.seed_id)
}

/** The machine's disks stand on nothing of others, or are gone; a seed that nothing needs any more goes. */
export async function leaveSeeds(tx: Tx, vm: VmId, jobs: JobStarter, origin: JobOrigin): Promise<void> {
  for (const { id, seed_id: seed } of await volumesOf(tx, vm)) {
    if (!seed) continue
    await setVolume(tx, id, { seed_id: null })
    await removeIfUnneeded(tx, seed, jobs, { ...origin, command: 'removeLayer' })
  }
}
