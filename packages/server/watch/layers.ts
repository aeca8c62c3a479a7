// Finds disk layers that lost their last name or were being removed when something failed, and that no job works on any
// more, and starts their removal. Without it a passing error would keep their files for ever.
import { planRemoval } from '@ramet/core/layer.ts'
import type { Runner } from '../jobs/runner.ts'
import { removeLayer } from '../jobs/remove-layer.ts'
import type { Log } from '../log.ts'
import { inTransaction, type Database, type Tx } from '../store/database.ts'
import { forestOfPool, type Unneeded, unneededLayers } from '../store/layers.ts'

export interface LayerWatch {
  sweep(): Promise<void>
  close(): void
}

export function watchLayers(db: Database, jobs: Runner, log: Log, everyMs = 60_000): LayerWatch {
  const sweep = () =>
    inTransaction(db, async tx => {
      for (const layer of await unneededLayers(tx)) if (await mayGo(tx, layer)) await remove(tx, layer)
    })

  async function remove(tx: Tx, { id }: Unneeded): Promise<void> {
    const account = await tx.selectFrom('account').select('id').where('type', '=', 'Admin').executeTakeFirstOrThrow()
    log.warn({ layer: id }, 'a disk layer that nothing needs was left over; removing it')
    await jobs.start(tx, removeLayer, { layer: id }, { command: 'removeLayer', account: account.id, user: null })
  }

  const timer = setInterval(() => {
    sweep().catch(error => log.error({ err: error }, 'cannot look for layers that nothing needs'))
  }, everyMs)
  timer.unref()
  return { sweep, close: () => clearInterval(timer) }
}

async function mayGo(tx: Tx, { id, pool }: Unneeded): Promise<boolean> {
  return planRemoval(await forestOfPool(tx, pool), id)[0]?.op === 'discard'
}
