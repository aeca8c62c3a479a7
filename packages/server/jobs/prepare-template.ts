// Copies a template from secondary storage to a primary storage, as a layer that linked clones stand on and full clones
// are copied from. One copy per pool: the spool reference is its record, the layer its file.
import type { Id, LayerId, StoragePoolId, TemplateId } from '@ramet/core/ids.ts'
import { forgetLayer, layerRef, publishLayer, reserveLayer } from '../store/layers.ts'
import { activeTemplate, forgetUnneededSpoolRefs, imageFile, setSpoolRef } from '../store/templates.ts'
import { defineJob, nothing } from './define-job.ts'
import { removeIfUnneeded } from './remove-layer.ts'
import { originOf } from './tools.ts'

export interface PrepareTemplate {
  readonly template: TemplateId
  readonly pool: StoragePoolId
  readonly ref: Id<'template-spool-ref'>
  /** The layer to be made. */
  readonly layer: LayerId
}

export function copyLock({ template, pool }: Pick<PrepareTemplate, 'template' | 'pool'>): string {
  return `template:${template}:${pool}`
}

export const prepareTemplate = defineJob<PrepareTemplate>({
  kind: 'prepare-template',
  event: 'TEMPLATE.COPY',
  doing: 'copying template to primary storage',
  instanceType: 'Template',
  cancellable: true,
  lock: copyLock,
  instance: input => input.template,
})
  .record('reserve', {
    do: async ({ tx, input }) => {
      const template = await activeTemplate(tx, input.template)
      const bytes = template.virtual_bytes ?? 0
      await reserveLayer(tx, {
        id: input.layer,
        pool: input.pool,
        parent: null,
        account: null,
        virtualBytes: bytes,
        expectedBytes: template.physical_bytes ?? 0,
      })
      await setSpoolRef(tx, input.ref, { state: 'Creating', download_state: 'DOWNLOAD_IN_PROGRESS', error_str: null })
    },
    undo: async ({ tx, input, problem }) => {
      await setSpoolRef(tx, input.ref, {
        state: 'Allocated',
        layer_id: null,
        download_state: 'DOWNLOAD_ERROR',
        error_str: problem?.message ?? null,
      })
      await forgetLayer(tx, input.layer)
      await forgetUnneededSpoolRefs(tx, input.template)
    },
  })
  .act('seed', {
    do: async ({ db, driver, input, progress, signal }) => {
      const { file, format } = await imageFile(db, input.template)
      return driver.layers.seed(await layerRef(db, input.layer), file, format, null, progress, signal)
    },
    undo: async ({ db, driver, input }) => driver.layers.discard(await layerRef(db, input.layer)),
  })
  .record('publish', {
    do: async ({ tx, input, made, jobs, job }) => {
      await publishLayer(tx, input.layer, made.seed)
      const { marked_for_gc: isDeleted } = await setSpoolRef(tx, input.ref, {
        state: 'Ready',
        layer_id: input.layer,
        download_state: 'DOWNLOADED',
        download_pct: 100,
        install_path: `${input.layer}.qcow2`,
        template_size: made.seed.allocatedBytes,
      })
      if (isDeleted) await removeIfUnneeded(tx, input.layer, jobs, originOf(job)) // the template, while it was copied
    },
    undo: nothing('nothing follows it'),
  })
