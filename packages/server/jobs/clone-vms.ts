// Several clones that one call asked for: each is made by a job of its own, and this one ends when they have. Those that could not be made are
// in Error, each with its reason; the others stay.
import type { JobId, VmId } from '@ramet/core/ids.ts'
import { Problem, type StoredProblem } from '@ramet/core/problem.ts'
import type { Db } from '../store/database.ts'
import { defineJob, nothing, WaitForJob } from './define-job.ts'

export interface CloneVms {
  /** What is cloned. */
  readonly source: VmId
  readonly clones: readonly { readonly vm: VmId; readonly name: string; readonly job: JobId }[]
}

export const cloneVms = defineJob<CloneVms>({
  kind: 'clone-vms',
  event: 'VM.CLONE',
  doing: 'making several clones of virtual machine',
  instanceType: 'VirtualMachine',
  cancellable: false,
  lock: input => `clones:${input.clones[0]?.vm}`,
  instance: input => input.source,
}).act('wait', {
  do: async ({ db, input, progress }) => {
    const ends = await endsOf(db, input)
    // The last of them: it is probably the last to end, and this one is woken once.
    const open = ends.findLast(({ completed }) => !completed)
    progress((100 * ends.filter(({ completed }) => completed).length) / input.clones.length)
    if (open) throw new WaitForJob(open.id)
    demandAll(
      input,
      ends.flatMap(({ id, problem }) => (problem ? [{ id, problem }] : [])),
    )
  },
  undo: nothing('the clones that were made are whole'),
})

async function endsOf(db: Db, { clones }: CloneVms) {
  const ids = clones.map(({ job }) => job)
  return db
    .selectFrom('job')
    .select(['id', 'completed', 'problem'])
    .where('id', 'in', ids)
    .orderBy('sequence')
    .execute()
}

function demandAll({ clones }: CloneVms, failed: readonly { id: JobId; problem: StoredProblem }[]): void {
  const [first] = failed
  if (!first) return
  const names = failed.map(({ id }) => clones.find(({ job }) => job === id)?.name).join(', ')
  const { kind, code, message } = first.problem
  throw new Problem(kind, code, `${failed.length} of ${clones.length} clones could not be made (${names}): ${message}`)
}
