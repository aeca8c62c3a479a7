import { deleteTags as deleteTagsJob } from '../../jobs/tags.ts'
import { originOfCall } from '../caller.ts'
import { jobCommand } from '../command.ts'
import { map } from '../parameters.ts'
import { demandThings, readTags, taggingParameters } from '../tags.ts'

export const deleteTags = jobCommand({
  name: 'deleteTags',
  description: 'Takes tags off things',
  permission: 'user',
  params: {
    ...taggingParameters,
    tags: map('the tags; a key without a value goes whatever its value; all tags when absent'),
  },
  async run({ app, caller, params }) {
    const tags = readTags(params.tags)
    await demandThings(app, caller, params.resourcetype, params.resourceids)
    const input = { kind: params.resourcetype, ids: params.resourceids, tags }
    return { jobid: await app.jobs.start(app.db, deleteTagsJob, input, originOfCall(caller, 'deleteTags')) }
  },
})
