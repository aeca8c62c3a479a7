// Brings a template's image to secondary storage: fetch it (or copy it from this machine), let the driver find out what
// it really is, and only then call it ready. An image that cannot be a template leaves no file, only the reason.
import type { TemplateId } from '@ramet/core/ids.ts'
import { copyImage, discardImage, fetchImage } from '../images/fetch.ts'
import { requireStore } from '../images/store.ts'
import { recordEvent } from '../store/events.ts'
import { holdRoom } from '../store/limits.ts'
import { storeOfImage } from '../store/image-stores.ts'
import { imageFile, setTemplate } from '../store/templates.ts'
import { defineJob, nothing } from './define-job.ts'

export interface RegisterTemplate {
  readonly template: TemplateId
  readonly url: string
  /** `{SHA-256}hex`, or a bare MD5. */
  readonly checksum: string | null
}

export function templateLock(template: TemplateId): string {
  return `template:${template}`
}

export const registerTemplate = defineJob<RegisterTemplate>({
  kind: 'register-template',
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
  .act('fetch', {
    do: async ({ db, settings, input, progress, signal }) => {
      await requireStore(await storeOfImage(db, input.template))
      const { file } = await imageFile(db, input.template)
      const limits = {
        maxBytes: settings.number('max.template.iso.size') * 2 ** 30,
        allowPrivate: settings.flag('allow.register.private.address'),
      }
      if (input.url.startsWith('file:')) await copyImage(input.url, file, input.checksum, limits, signal)
      else await fetchImage(input.url, file, input.checksum, limits, progress, signal)
    },
    undo: async ({ db, input }) => discardImage((await imageFile(db, input.template)).file),
  })
  .act('inspect', {
    do: async ({ db, driver, settings, input }) => {
      const { file, format } = await imageFile(db, input.template)
      return driver.images.inspect(file, format, settings.number('max.template.iso.size') * 2 ** 30)
    },
    undo: nothing('it only reads'),
  })
  .record('publish', {
    do: async ({ tx, input, made, job }) => {
      const { account_id } = await tx
        .selectFrom('template')
        .select('account_id')
        .where('id', '=', input.template)
        .executeTakeFirstOrThrow()
      await holdRoom(tx, account_id, { secondaryBytes: made.inspect.allocatedBytes })
      await setTemplate(tx, input.template, {
        download_state: 'DOWNLOADED',
        download_percent: 100,
        virtual_bytes: made.inspect.virtualBytes,
        physical_bytes: made.inspect.allocatedBytes,
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
