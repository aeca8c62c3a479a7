import type { TemplateId } from '@ramet/core/ids.ts'
import { type ExtractTemplate, extractTemplate as extractTemplateJob } from '../../jobs/extract-template.ts'
import { listedTemplate } from '../../store/template-list.ts'
import { originOfCall } from '../caller.ts'
import { type JobResult, jobCommand } from '../command.ts'
import { addressOf, type Extracted, extractView, fileNameOf, newTicket } from '../extraction.ts'
import { choice, id } from '../parameters.ts'
import { demandExtractable, imageOfCall } from '../template-call.ts'

/** For templates and for ISOs. */
export const extractParameters = {
  mode: choice('how it is offered', ['HTTP_DOWNLOAD']).must,
  zoneid: id<'zone'>('its zone'),
}

export const extractTemplate = jobCommand({
  name: 'extractTemplate',
  description: 'Offers the image of a template for download, at an address that expires',
  permission: 'user',
  params: { id: id<'template'>('the template').must, ...extractParameters },
  result: extracted('template'),
  async run({ app, caller, params }) {
    const template = await imageOfCall(app, caller, params.id, 'template')
    demandExtractable(caller, template)
    const fileName = fileNameOf(template.name, template.format)
    const input = { template: template.id, ticket: newTicket(app), fileName }
    return { jobid: await app.jobs.start(app.db, extractTemplateJob, input, originOfCall(caller, 'extractTemplate')) }
  },
})

export function extracted(object: 'template' | 'iso'): JobResult<Extracted> {
  return {
    view: extractView(object),
    async read(app, job) {
      const { ticket, fileName } = job.input as ExtractTemplate
      const template = await listedTemplate(app.db, job.instance_id as TemplateId)
      if (!template) return undefined
      const { id: templateId, name, account_id: accountId, zone_id: zoneId, zone_name: zoneName } = template
      return { id: templateId, name, accountId, zoneId, zoneName, url: addressOf(app, ticket, fileName) }
    },
  }
}
