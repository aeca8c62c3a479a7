// Offers the file of a template or ISO for download, as it is on secondary storage; nothing is copied.
import type { TemplateId } from '@ramet/core/ids.ts'
import { type NewDownload, offerDownload, forgetDownload } from '../store/downloads.ts'
import { activeTemplate, imageFile } from '../store/templates.ts'
import { defineJob } from './define-job.ts'
import { templateLock } from './register-template.ts'

export interface ExtractTemplate {
  readonly template: TemplateId
  readonly ticket: Pick<NewDownload, 'id' | 'tokenHash' | 'seconds'> & { readonly sealedToken: string }
  readonly fileName: string
}

export const extractTemplate = defineJob<ExtractTemplate>({
  kind: 'extract-template',
  event: 'TEMPLATE.EXTRACT',
  doing: 'offering template for download',
  instanceType: 'Template',
  cancellable: false,
  lock: input => templateLock(input.template),
  instance: input => input.template,
}).record('offer', {
  do: async ({ tx, input, job }) => {
    await activeTemplate(tx, input.template)
    const { id, tokenHash, seconds } = input.ticket
    const { file } = await imageFile(tx, input.template)
    const { template, fileName } = input
    await offerDownload(tx, {
      id,
      tokenHash,
      seconds,
      account: job.account_id,
      file,
      fileName,
      isTemporary: false,
      template,
    })
  },
  undo: async ({ tx, input }) => forgetDownload(tx, input.ticket.id),
})
