// A template's copy on a primary storage is made once, by whoever needs it first; the others wait for that job.
import { type JobId, type LayerId, newId, type StoragePoolId, type TemplateId } from '@ramet/core/ids.ts'
import type { Tx } from '../store/database.ts'
import { jobOn } from '../store/jobs.ts'
import { activeTemplate, holdSpoolRef } from '../store/templates.ts'
import { type StepContext, WaitForJob } from './define-job.ts'
import { refuseIfAwaitedJobFailed } from './others.ts'
import { copyLock, prepareTemplate } from './prepare-template.ts'
import { type JobOrigin, type JobStarter, originOf } from './tools.ts'

/** The layer that holds `template` on `pool`, or a WaitForJob for the job that is making it. */
export async function templateOnPool<I, M>(
  context: StepContext<I, M>,
  template: TemplateId,
  pool: StoragePoolId,
): Promise<LayerId> {
  const { db, jobs, job } = context
  await refuseIfAwaitedJobFailed(context, prepareTemplate.traits.kind)
  const origin = { ...originOf(job), command: 'prepareTemplate' }
  const found = await db.transaction().execute(tx => findOrPrepare(tx, jobs, template, pool, origin))
  if ('job' in found) throw new WaitForJob(found.job)
  return found.layer
}

export type TemplateCopy = { readonly layer: LayerId } | { readonly job: JobId }

/** The copy's layer if it is ready, else the job that makes it, begun here if nobody has. */
export async function findOrPrepare(
  tx: Tx,
  jobs: JobStarter,
  template: TemplateId,
  pool: StoragePoolId,
  origin: JobOrigin,
): Promise<TemplateCopy> {
  await activeTemplate(tx, template)
  const ref = await holdSpoolRef(tx, template, pool)
  if (ref.state === 'Ready' && ref.layer_id) return { layer: ref.layer_id }
  const running = await jobOn(tx, copyLock({ template, pool }))
  if (running) return { job: running.id }
  const input = { template, pool, ref: ref.id, layer: newId<'layer'>() }
  return { job: await jobs.start(tx, prepareTemplate, input, origin) }
}
