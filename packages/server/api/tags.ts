// What the commands on tags have in common, and the filter of lists by tag.
import type { App } from '../app.ts'
import { type TaggedKind, taggedKinds, thingsToTag } from '../store/tags.ts'
import { type Caller, demandOwned } from './caller.ts'
import { choice, id, invalid, list, map } from './parameters.ts'

/** For lists of what can have tags. */
export const tagFilter = { tags: map('only those with these tags: tags[0].key=…, tags[0].value=…') }

export const taggingParameters = {
  resourcetype: choice('kind of the things', taggedKinds).must,
  resourceids: list('ids of the things', id<'resource'>('a thing')).must,
}

const longest = 255

/** Tags as a call gives them; a key without a value is null. */
export function readTags(tags: ReadonlyMap<string, string>): Record<string, string | null> {
  // `tags[0].key=k` alone comes as the pair key = k.
  const pairs = [...tags].map(([key, value]) => (key === 'key' ? ([value, null] as const) : ([key, value] as const)))
  for (const [key, value] of pairs) {
    if (key.trim() === '' || key.length > longest) throw invalid('tags', `needs keys of 1 to ${longest} characters`)
    if (value && value.length > longest) throw invalid('tags', `has a value of more than ${longest} characters`)
  }
  return Object.fromEntries(pairs)
}

/** Demands that every thing is there and the caller may use it. */
export async function demandThings(app: App, caller: Caller, kind: TaggedKind, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) throw invalid('resourceids', 'is missing')
  const found = new Map((await thingsToTag(app.db, kind, ids)).map(thing => [thing.id, thing]))
  for (const each of ids) await demandOwned(app, caller, found.get(each), 'resourceids', each)
}
