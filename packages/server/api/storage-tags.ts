// Tags that offerings ask of primary storage: a disk goes only to a pool that has all of them.
import { invalid, type Parameter, text } from './parameters.ts'

const given = text('storage tags, separated by commas; empty: none')

export const storageTags: Parameter<string[] | undefined> = {
  ...given,
  read(name, raw) {
    const tags = given
      .read(name, raw)
      ?.split(',')
      .map(tag => tag.trim())
    if (tags?.length === 1 && tags[0] === '') return []
    const wrong = tags?.find(tag => !/^[\w.-]{1,64}$/.test(tag))
    if (wrong !== undefined)
      throw invalid(name, `has the tag "${wrong}"; a tag is 1 to 64 letters, digits, dots, hyphens or underscores`)
    return tags && [...new Set(tags)]
  },
}
