// Removes a memory image that nobody names any more: no VM snapshot, no fork, and no machine that went on from it and still runs.
import type { JobId, MemoryImageId } from '@ramet/core/ids.ts'
import type { Tx } from '../store/database.ts'
import { forgetMemory, isMemoryUnneeded, markMemoryRemoving, memoryRefIfAny } from '../store/memory-images.ts'
import { defineJob, nothing } from './define-job.ts'
import type { JobOrigin, JobStarter } from './tools.ts'

export interface RemoveMemory {
  readonly memory: MemoryImageId
}

export const removeMemory = defineJob<RemoveMemory>({
  kind: 'remove-memory',
  event: 'MEMORY.DELETE',
  doing: 'removing memory image that nothing needs any more',
  instanceType: 'None',
  cancellable: false,
  lock: input => `memory:${input.memory}`,
  instance: input => input.memory,
})
  .record('mark', {
    do: async ({ tx, input }) => {
      const isUnneeded = await isMemoryUnneeded(tx, input.memory)
      if (isUnneeded) await markMemoryRemoving(tx, input.memory)
      return { isUnneeded }
    },
    undo: nothing('an image that nobody names is of no use; removing it is tried again'),
  })
  .actWhen('discard', {
    when: made => made.mark.isUnneeded,
    do: async ({ db, driver, input }) => {
      const image = await memoryRefIfAny(db, input.memory)
      if (image) await driver.memory.discard(image)
    },
    undo: nothing('a deleted file cannot be brought back; the image stays marked, and is removed again'),
  })
  .record('forget', {
    do: async ({ tx, input, made }) => {
      if (made.mark.isUnneeded) await forgetMemory(tx, input.memory)
    },
    undo: nothing('nothing follows it'),
  })

/** Starts the removal of an image that has lost a name, if that was its last. */
export async function removeMemoryIfUnneeded(
  tx: Tx,
  id: MemoryImageId,
  jobs: JobStarter,
  origin: JobOrigin,
): Promise<JobId | null> {
  return (await isMemoryUnneeded(tx, id)) ? jobs.start(tx, removeMemory, { memory: id }, origin) : null
}
