// Finds disk layers that lost their last name or were being removed when something failed, and that no job works on any
// more, and starts their removal; and merges that could not be done when a layer lost its name. Without it a passing error would
// keep their files for ever.
import type { LayerId } from '@ramet/core/ids.ts'
import type { Runner } from '../jobs/runner.ts'
import { removeIfUnneeded } from '../jobs/remove-layer.ts'
import type { Log } from '../log.ts'
import { inTransaction, type Database, type Tx } from '../store/database.ts'
import { unneededLayers } from '../store/layers.ts'

export interface LayerWatch {
  sweep(): Promise<void>
  close(): void
}

export function watchLayers(db: Database, jobs: Runner, log: Log, everyMs = 60_000): LayerWatch {
  const sweep = () =>
    inTransaction(db, async tx => {
      for (const layer of await unneededLayers(tx)) await remove(tx, layer)
    })

  async function remove(tx: Tx, layer: LayerId): Promise<void> {
    const account = await tx.selectFrom('account').select('id').where('type', '=', 'Admin').executeTakeFirstOrThrow()
    const origin = { command: 'removeLayer', account: account.id, user: null }
    if (await removeIfUnneeded(tx, layer, jobs, origin))
      log.warn({ layer }, 'a disk layer that nothing needs was left over; removing it')
  }

  const timer = setInterval(() => {
    sweep().catch(error => log.error({ err: error }, 'cannot look for layers that nothing needs'))
  }, everyMs)
  timer.unref()
  return { sweep, close: () => clearInterval(timer) }
}
