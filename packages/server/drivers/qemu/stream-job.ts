// A layer is merged down into its child by QEMU's block-stream: it copies into the child what only the layer below has, and puts
// the child on what is below that. The content that the child shows is the same at every moment, so it may be killed at any; and
// siblings, which it never opens, keep what they stand on. In a machine that runs its own process does it, else a storage daemon.
import { setTimeout as sleep } from 'node:timers/promises'
import { relative, dirname } from 'node:path'
import type { LayerRef, Progress } from '../driver.ts'
import { nodeName } from './blockdev.ts'
import { layerFile } from './layer-files.ts'
import { problems } from './problems.ts'
import type { JobInfo, Qmp } from './qmp.ts'

export interface Merge {
  readonly deviceId: number
  readonly from: LayerRef
  readonly into: LayerRef
  /** What `from` stands on. */
  readonly below: LayerRef | null
}

const lookEveryMs = 20

/** Node and job are named after the child, so that the next server finds a merge that this one began. */
export function mergeName({ deviceId, into }: Merge): string {
  return `${nodeName(deviceId, into)}-m`
}

export async function beginMerge(qmp: Qmp, merge: Merge): Promise<void> {
  const id = mergeName(merge)
  if (await jobOf(qmp, id)) return
  const { deviceId, into, below } = merge
  const begun = qmp.execute('block-stream', {
    'job-id': id,
    device: nodeName(deviceId, into),
    ...(below && {
      'base-node': nodeName(deviceId, below),
      // For people with qemu-img at hand; we never follow it.
      'backing-file': relative(dirname(layerFile(into)), layerFile(below)),
    }),
    'filter-node-name': id,
    'auto-dismiss': false, // its end is there to be seen, also by the next server
  })
  await begun.catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    throw / lock/.test(why) ? problems.layerInUse(error) : problems.mergeFailed(why)
  })
}

/** Fulfils when the job has ended well. Aborted, it ends too, and what it copied stays. */
export async function mergeEnded(qmp: Qmp, merge: Merge, progress: Progress, signal: AbortSignal): Promise<void> {
  const id = mergeName(merge)
  let isCancelled = false
  for (;;) {
    const job = await jobOf(qmp, id)
    if (!job) throw problems.mergeFailed('its job is gone')
    if (job.status === 'concluded') return await conclude(qmp, job, merge, signal, isCancelled)
    if (signal.aborted && !isCancelled) {
      await qmp.execute('job-cancel', { id }).catch(() => {}) // it may just have ended
      isCancelled = true
    }
    const { 'current-progress': done, 'total-progress': total } = job
    if (total > 0) progress(Math.min(99, (100 * done) / total))
    await sleep(lookEveryMs)
  }
}

async function conclude(
  qmp: Qmp,
  job: JobInfo,
  merge: Merge,
  signal: AbortSignal,
  isCancelled: boolean,
): Promise<void> {
  await qmp.execute('job-dismiss', { id: job.id })
  if (isCancelled && job.error) throw problems.cancelled(signal.reason)
  if (!job.error) return
  if (/No space left|quota exceeded/.test(job.error)) throw problems.poolFull(merge.into.pool.path)
  throw problems.mergeFailed(job.error)
}

async function jobOf(qmp: Qmp, id: string): Promise<JobInfo | undefined> {
  return (await qmp.execute('query-jobs')).find(job => job.id === id)
}
