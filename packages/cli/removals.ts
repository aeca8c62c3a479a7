// A deletion ends at once, and what it frees is merged by jobs that go on by themselves. Whoever waits at a terminal is shown how far
// they are, in bytes.
import { type Fields, isFields } from '@ramet/client/api-error.ts'
import type { Client, Progress } from '@ramet/client/client.ts'
import { setTimeout as sleep } from 'node:timers/promises'

const lookEveryMs = 300
const mib = 2 ** 20

interface Removal {
  readonly jobid: string
  readonly bytes: number
  readonly jobstatus: unknown
  readonly jobprogress: number
  readonly why: unknown
}

/** Fulfils when nothing is left to merge; with a sentence for each layer that could not be. */
export async function followRemovals(
  client: Client,
  answer: Fields,
  onProgress: (progress: Progress) => void,
): Promise<string[]> {
  let removals = removalsIn(answer)
  while (removals.some(({ jobstatus }) => jobstatus === 0)) {
    onProgress(progressOf(removals))
    await sleep(lookEveryMs)
    removals = await Promise.all(removals.map(removal => lookAt(client, removal)))
  }
  return removals.flatMap(({ jobstatus, why }) =>
    jobstatus === 2 ? [`A disk layer was not merged, and it will be tried again: ${String(why)}`] : [],
  )
}

function removalsIn({ removals }: Fields): Removal[] {
  const found = Array.isArray(removals) ? removals.filter(isFields) : []
  return found.map(({ jobid, bytes, jobstatus, jobprogress }) => ({
    jobid: String(jobid),
    bytes: Number(bytes ?? 0),
    jobstatus,
    jobprogress: Number(jobprogress ?? 0),
    why: undefined,
  }))
}

async function lookAt(client: Client, removal: Removal): Promise<Removal> {
  if (removal.jobstatus !== 0) return removal
  const { jobstatus, jobprogress, jobresult } = await client.call('queryAsyncJobResult', { jobid: removal.jobid })
  const why = isFields(jobresult) ? jobresult.errortext : undefined
  return { ...removal, jobstatus, jobprogress: Number(jobprogress ?? 0), why }
}

function progressOf(removals: readonly Removal[]): Progress {
  const total = removals.reduce((sum, { bytes }) => sum + bytes, 0)
  const done = removals.reduce((sum, { bytes, jobprogress }) => sum + (bytes * jobprogress) / 100, 0)
  const step = `merging ${Math.ceil(total / mib)} MiB of disk layers, which goes on without this command`
  return { percent: total > 0 ? Math.floor((100 * done) / total) : 0, step }
}
