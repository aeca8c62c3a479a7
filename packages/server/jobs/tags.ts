// Puts tags on things, and takes them off. Both are one step that touches the database alone; they are jobs because clients
// expect one.
import { recordEvent } from '../store/events.ts'
import { putTags, takeTags, type TaggedKind, thingsToTag } from '../store/tags.ts'
import { defineJob, nothing, type RecordContext } from './define-job.ts'

interface Tagging {
  readonly kind: TaggedKind
  readonly ids: readonly string[]
}

export interface CreateTags extends Tagging {
  readonly tags: Readonly<Record<string, string>>
  readonly customer: string | null
}

export interface DeleteTags extends Tagging {
  /** A key without a value goes whatever its value; no key at all means every tag. */
  readonly tags: Readonly<Record<string, string | null>>
}

const traits = {
  instanceType: 'None',
  cancellable: false,
  lock: ({ ids }: Tagging) => `tags:${ids[0]}`,
  instance: ({ ids }: Tagging) => ids[0] ?? '',
} as const

const nothingFollows = nothing('nothing follows it')

export const createTags = defineJob<CreateTags>({
  ...traits,
  kind: 'create-tags',
  event: 'CREATE_TAGS',
  doing: 'putting tags on',
}).record('put', {
  do: async context => {
    const { tx, input } = context
    // What has gone since the call gets none.
    await putTags(tx, input.kind, await thingsToTag(tx, input.kind, input.ids), input.tags, input.customer)
    await tell(context, 'CREATE_TAGS', `put tags ${Object.keys(input.tags).join(', ')}`)
  },
  undo: nothingFollows,
})

export const deleteTags = defineJob<DeleteTags>({
  ...traits,
  kind: 'delete-tags',
  event: 'DELETE_TAGS',
  doing: 'taking tags off',
}).record('take', {
  do: async context => {
    const { tx, input } = context
    await takeTags(tx, input.ids, input.tags)
    await tell(context, 'DELETE_TAGS', `took tags ${Object.keys(input.tags).join(', ') || 'all'}`)
  },
  undo: nothingFollows,
})

async function tell({ tx, input, job }: RecordContext<Tagging, object>, type: string, what: string): Promise<void> {
  for (const id of input.ids)
    await recordEvent(tx, {
      type,
      description: what,
      account: job.account_id,
      user: job.user_id,
      resourceType: input.kind,
      resource: id,
      startEvent: job.start_event_id,
    })
}
