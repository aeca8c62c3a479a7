// Deletes a template by name. Its file on secondary storage goes; its copies on primary storage lose their name, and each
// goes as soon as the last linked clone that stands on it is gone. Full clones never hold it.
import type { TemplateId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { discardImage } from '../images/fetch.ts'
import { requireStore } from '../images/store.ts'
import type { Tx } from '../store/database.ts'
import { forgetDownloadsOf } from '../store/downloads.ts'
import { storeOfImage } from '../store/image-stores.ts'
import { forgetUnneededSpoolRefs, imageFile, setSpoolRef, setTemplate, holdSpoolRefs } from '../store/templates.ts'
import { defineJob, nothing } from './define-job.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { templateLock } from './register-template.ts'
import { originOf } from './tools.ts'

export interface DeleteTemplate {
  readonly template: TemplateId
}

const noWayBack = nothing('a deleted template does not come back; asking again finishes it')

export const deleteTemplate = defineJob<DeleteTemplate>({
  kind: 'delete-template',
  event: 'TEMPLATE.DELETE',
  doing: 'deleting template',
  instanceType: 'Template',
  cancellable: false,
  lock: input => templateLock(input.template),
  instance: input => input.template,
})
  .record('retire', {
    do: async ({ tx, input, jobs, job }) => {
      await refuseWhileInDrive(tx, input.template)
      await setTemplate(tx, input.template, { state: 'Inactive' })
      for (const ref of await holdSpoolRefs(tx, input.template)) {
        // A copy that is being made keeps its state; the job that makes it will see the mark.
        const state = ref.state === 'Creating' ? ref.state : 'Destroying'
        await setSpoolRef(tx, ref.id, { marked_for_gc: true, state })
        if (ref.layer_id) await removeIfUnneeded(tx, ref.layer_id, jobs, originOf(job))
      }
      await forgetUnneededSpoolRefs(tx, input.template)
      await forgetDownloadsOf(tx, input.template)
    },
    undo: noWayBack,
  })
  .act('discard-image', {
    do: async ({ db, driver, input }) => {
      if (driver.forest) return driver.forest.disown({ kind: 'template', id: input.template })
      await requireStore(await storeOfImage(db, input.template))
      await discardImage((await imageFile(db, input.template)).file)
    },
    undo: noWayBack,
  })
  .record('forget', {
    do: async ({ tx, input }) => setTemplate(tx, input.template, { removed: new Date() }),
    undo: noWayBack,
  })

/** The row is locked: a machine whose drive is being filled with it notes that in a transaction that looks at the row. */
async function refuseWhileInDrive(tx: Tx, iso: TemplateId): Promise<void> {
  await tx.selectFrom('template').select('id').where('id', '=', iso).forUpdate().execute()
  const machines = await tx
    .selectFrom('vm')
    .select('name')
    .where('iso_id', '=', iso)
    .where('removed', 'is', null)
    .orderBy('name')
    .limit(10)
    .execute()
  if (machines.length === 0) return
  const names = machines.map(({ name }) => name).join(', ')
  throw new Problem('in-use', 'iso-attached', `The ISO is in the drive of ${names}; take it out with detachIso first`)
}
