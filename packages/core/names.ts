// Names that people give: what is allowed, and why not, as one sentence.

const hostName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i

/** Why `name` cannot be a machine's host name, or null. RFC 1123: one label; upstream also refuses all digits. */
export function hostNameRefusal(name: string): string | null {
  if (!hostName.test(name))
    return 'must be 1 to 63 letters, digits or hyphens, and begin and end with a letter or digit (RFC 1123)'
  if (/^[0-9]+$/.test(name)) return 'must not consist of digits only'
  return null
}

/** Why `text` cannot be a label shown to people, or null. Control characters never reach here: the door refuses them. */
export function labelRefusal(text: string): string | null {
  if (text.trim() === '') return 'must not be empty'
  if (text.length > 255) return `must be at most 255 characters; this one has ${text.length}`
  return null
}

/** What stands in a list that is separated by commas. */
export function namesIn(text: string): string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}

/** Why `name` cannot be that of a domain, or null: names make up a path. */
export function domainNameRefusal(name: string): string | null {
  if (name.includes('/')) return 'must not contain "/", which separates names in a path'
  if (name === '.' || name === '..') return 'must not be "." or ".."'
  return labelRefusal(name)
}

/** Why `name` cannot be what host names end in, or null. With a host name before it, it must stay below 254 characters. */
export function networkDomainRefusal(name: string): string | null {
  if (name.length > 189) return `must be at most 189 characters; this one has ${name.length}`
  if (!name.split('.').every(label => hostName.test(label)))
    return 'must be labels of letters, digits and hyphens with dots between them, such as lab.internal'
  return null
}
