// Finds forks that no clone is being made of, and memory images that nobody names any more: a machine that went on from one has been stopped,
// or whoever made one gave up.
import type { ForkId, VmId } from '@ramet/core/ids.ts'
import { dropFork, giveUpKept } from '../jobs/drop-fork.ts'
import { removeMemoryIfUnneeded } from '../jobs/remove-memory.ts'
import type { Runner } from '../jobs/runner.ts'
import type { Log } from '../log.ts'
import type { Settings } from '../settings.ts'
import { type Database, inTransaction, type Tx } from '../store/database.ts'
import { budgetOf } from '../store/chains.ts'
import { deltasOf } from '../store/deltas.ts'
import { holdFork, leftForks, setFork, sourcesKept } from '../store/forks.ts'
import { unneededMemories } from '../store/memory-images.ts'

export interface ForkWatch {
  sweep(): Promise<void>
  close(): void
}

export function watchForks(
  { db, settings, log }: { db: Database; settings: Settings; log: Log },
  jobs: Runner,
  everyMs = 15_000,
): ForkWatch {
  const sweep = async () => {
    for (const vm of await sourcesKept(db)) await inTransaction(db, tx => unkeep(tx, vm))
    for (const fork of await leftForks(db)) await inTransaction(db, tx => letGo(tx, fork))
    const images = await unneededMemories(db)
    for (const memory of images)
      await inTransaction(db, async tx => removeMemoryIfUnneeded(tx, memory, jobs, await originOfServer(tx)))
  }

  /** As soon as few clones stand on the machine, also counting those of the instant that is kept. */
  async function unkeep(tx: Tx, vm: VmId): Promise<void> {
    const isOn = settings.flag('instantclone.delta.switch')
    if (isOn && (await deltasOf(tx, vm, true)) >= (await mostOnCuts(tx, vm))) return
    await giveUpKept(tx, vm, jobs, await originOfServer(tx))
  }

  async function mostOnCuts(tx: Tx, vm: VmId): Promise<number> {
    const { most_deltas: most } = await budgetOf(tx, vm)
    return Math.min(settings.number('instantclone.delta.threshold'), most ?? Infinity)
  }

  async function letGo(tx: Tx, id: ForkId): Promise<void> {
    const fork = await holdFork(tx, id)
    if (!fork) return
    // Whoever was to make it gave up.
    if (fork.state !== 'Ready') await setFork(tx, id, { state: 'Error' })
    await dropFork(tx, id, jobs, await originOfServer(tx))
  }

  const timer = setInterval(() => {
    sweep().catch(error => log.error({ err: error }, 'cannot look for forks that nothing needs'))
  }, everyMs)
  timer.unref()
  return { sweep, close: () => clearInterval(timer) }
}

async function originOfServer(tx: Tx) {
  const account = await tx.selectFrom('account').select('id').where('type', '=', 'Admin').executeTakeFirstOrThrow()
  return { command: 'removeMemory', account: account.id, user: null }
}
