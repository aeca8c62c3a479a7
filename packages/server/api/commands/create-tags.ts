import { createTags as createTagsJob } from '../../jobs/tags.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { invalid, map, text } from '../parameters.ts'
import { demandThings, readTags, taggingParameters } from '../tags.ts'

export const createTags = jobCommand({
  name: 'createTags',
  description: 'Puts tags on things; a key that is there already gets the new value',
  permission: 'user',
  params: {
    ...taggingParameters,
    tags: map('the tags: tags[0].key=…, tags[0].value=…'),
    customer: text('who puts them there, for people'),
  },
  async run({ app, caller, params }) {
    const tags = readTags(params.tags)
    if (Object.keys(tags).length === 0) throw invalid('tags', 'is missing')
    const filled = Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, value ?? '']))
    await demandThings(app, caller, params.resourcetype, params.resourceids)
    const input = {
      kind: params.resourcetype,
      ids: params.resourceids,
      tags: filled,
      customer: params.customer || null,
    }
    return { jobid: await app.jobs.start(app.db, createTagsJob, input, originOfCall(caller, 'createTags')) }
  },
})
