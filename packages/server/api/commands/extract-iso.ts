import { extractTemplate } from '../../jobs/extract-template.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { fileNameOf, newTicket } from '../extraction.ts'
import { id } from '../parameters.ts'
import { demandExtractable, imageOfCall } from '../template-call.ts'
import { extracted, extractParameters } from './extract-template.ts'

export const extractIso = jobCommand({
  name: 'extractIso',
  description: 'Offers an ISO for download, at an address that expires',
  permission: 'user',
  params: { id: id<'template'>('the ISO').must, ...extractParameters },
  result: extracted('iso'),
  async run({ app, caller, params }) {
    const iso = await imageOfCall(app, caller, params.id, 'iso')
    demandExtractable(caller, iso)
    const input = { template: iso.id, ticket: newTicket(app), fileName: fileNameOf(iso.name, 'iso') }
    return { jobid: await app.jobs.start(app.db, extractTemplate, input, originOfCall(caller, 'extractIso')) }
  },
})
