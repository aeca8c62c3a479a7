// Layers are merged down into one above them by QEMU's block-stream: it copies into that what only they have, and puts it
// on what is below them. The content that the layer shows is the same at every moment, so it may be killed at any; and
// siblings, which it never opens, keep what they stand on. In a machine that runs its own process does it, else a storage daemon.
import { setTimeout as sleep } from 'node:timers/promises'
import { relative, dirname } from 'node:path'
import type { LayerChain, LayerRef, Merge, Progress } from '../../driver.ts'
import { nodeName } from './blockdev.ts'
import { layerFile } from './layer-files.ts'
import { problems } from '../problems.ts'
import type { JobInfo, Qmp } from '../process/qmp.ts'

/** A merge in the block graph of one process. */
export interface Stream extends Merge {
  readonly deviceId: number
  /** The layers that `into` needs no more afterwards, from the top down. */
  readonly between: readonly LayerRef[]
}

export function streamOf(deviceId: number, chain: LayerChain, merge: Merge): Stream {
  const { into, onto } = merge
  const at = chain.findIndex(({ id }) => id === into.id)
  const base = onto ? chain.findIndex(({ id }) => id === onto.id) : -1
  if (at < 1 || base >= at - 1 || (onto && base < 0)) throw problems.notBelow(onto?.id ?? '(none)', into.id)
  return { ...merge, deviceId, between: chain.slice(base + 1, at).toReversed() }
}

const lookEveryMs = 20

/** The filter that stands on `into` meanwhile. */
function filterName({ deviceId, into }: Stream): string {
  return `${nodeName(deviceId, into)}-m`
}

/** Named after what it does, so that the next server finds a job that this one began, and none that was to do something else. */
export function jobName(stream: Stream): string {
  return `${filterName(stream)}.${stream.onto?.id ?? 'nothing'}`
}

export async function beginMerge(qmp: Qmp, stream: Stream): Promise<void> {
  const id = jobName(stream)
  if (await jobOf(qmp, id)) return
  await endOthers(qmp, stream)
  const { deviceId, into, onto, bytesPerSecond } = stream
  const begun = qmp.execute('block-stream', {
    'job-id': id,
    device: nodeName(deviceId, into),
    ...(onto && {
      'base-node': nodeName(deviceId, onto),
      // For people with qemu-img at hand; we never follow it.
      'backing-file': relative(dirname(layerFile(into)), layerFile(onto)),
    }),
    ...(bytesPerSecond && { speed: bytesPerSecond }),
    'filter-node-name': filterName(stream),
    'auto-dismiss': false, // its end is there to be seen, also by the next server
  })
  await begun.catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    throw / lock/.test(why) ? problems.layerInUse(error) : problems.mergeFailed(why)
  })
}

/** Merges into the same layer that nobody waits for any more. */
async function endOthers(qmp: Qmp, stream: Stream): Promise<void> {
  const ofLayer = (job: JobInfo) => job.id.startsWith(`${filterName(stream)}.`)
  for (;;) {
    const job = (await qmp.execute('query-jobs')).find(ofLayer)
    if (!job) return
    if (job.status === 'concluded') await qmp.execute('job-dismiss', { id: job.id })
    else await qmp.execute('job-cancel', { id: job.id }).catch(() => {}) // it may just have ended
    await sleep(lookEveryMs)
  }
}

/** Fulfils when the job has ended well. Aborted, it ends too, and what it copied stays. */
export async function mergeEnded(qmp: Qmp, stream: Stream, progress: Progress, signal: AbortSignal): Promise<void> {
  const id = jobName(stream)
  let isCancelled = false
  for (;;) {
    const job = await jobOf(qmp, id)
    if (!job) throw problems.mergeFailed('its job is gone')
    if (job.status === 'concluded') return await conclude(qmp, job, stream, signal, isCancelled)
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
  stream: Stream,
  signal: AbortSignal,
  isCancelled: boolean,
): Promise<void> {
  await qmp.execute('job-dismiss', { id: job.id })
  if (isCancelled && job.error) throw problems.cancelled(signal.reason)
  if (!job.error) return
  if (/No space left|quota exceeded/.test(job.error)) throw problems.poolFull(stream.into.pool.path)
  throw problems.mergeFailed(job.error)
}

async function jobOf(qmp: Qmp, id: string): Promise<JobInfo | undefined> {
  return (await qmp.execute('query-jobs')).find(job => job.id === id)
}
