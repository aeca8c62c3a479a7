// Makes a template of a machine or template that a hypervisor's inventory has already: nothing is fetched or copied. The hypervisor gives
// it what linked clones stand on, and tells how large it is.
import type { TemplateId } from '@ramet/core/ids.ts'
import { recordEvent } from '../store/events.ts'
import { setTemplate } from '../store/templates.ts'
import { defineJob, nothing } from './define-job.ts'
import { forestOf } from './forest-machine.ts'
import { templateLock } from './register-template.ts'

export interface AdoptTemplate {
  readonly template: TemplateId
  /** What it is called in the inventory, or its path there. */
  readonly foreign: string
}

export const adoptTemplate = defineJob<AdoptTemplate>({
  kind: 'adopt-template',
  event: 'TEMPLATE.CREATE',
  doing: 'registering template',
  instanceType: 'Template',
  cancellable: true,
  lock: input => templateLock(input.template),
  instance: input => input.template,
})
  .record('begin', {
    do: async ({ tx, input }) =>
      setTemplate(tx, input.template, { download_state: 'DOWNLOAD_IN_PROGRESS', error: null }),
    undo: async ({ tx, input, problem }) =>
      setTemplate(tx, input.template, { download_state: 'DOWNLOAD_ERROR', error: problem?.message ?? null }),
  })
  .act('adopt', {
    do: ({ driver, input, progress, signal }) =>
      forestOf(driver).adopt({ kind: 'template', id: input.template }, input.foreign, { progress, signal }),
    undo: ({ driver, input }) => forestOf(driver).disown({ kind: 'template', id: input.template }),
  })
  .record('publish', {
    do: async ({ tx, input, made, job }) => {
      const [root] = made.adopt.disks
      await setTemplate(tx, input.template, {
        download_state: 'DOWNLOADED',
        download_percent: 100,
        virtual_bytes: root?.virtualBytes ?? 0,
        physical_bytes: root?.allocatedBytes ?? 0,
      })
      await recordEvent(tx, {
        type: 'TEMPLATE.CREATE',
        description: `template ${input.template} is ready`,
        account: job.account_id,
        user: job.user_id,
        resourceType: 'Template',
        resource: input.template,
        startEvent: job.start_event_id,
      })
    },
    undo: nothing('nothing follows it'),
  })
