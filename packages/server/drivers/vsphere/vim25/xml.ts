// XML as SOAP needs it: a tree of elements read strictly and within bounds, and text that may stand in one.
import { SaxesParser } from 'saxes'

export interface Element {
  readonly name: string
  /** By local name; those of the XML Schema instance namespace with `xsi:` before it. */
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Element[]
  readonly text: string
}

interface Open {
  name: string
  attributes: Record<string, string>
  children: Open[]
  text: string
}

const xsi = 'http://www.w3.org/2001/XMLSchema-instance'

/** vim25's own types nest less than this, snapshots trees excepted, which end at 32 levels. */
const deepest = 200

/** The root element, or an Error that says why this is no XML that we read. */
export function readXml(bytes: Uint8Array): Element {
  const text = decodeUtf8(bytes)
  const parser = new SaxesParser({ xmlns: true, position: false })
  const open: Open[] = []
  let root: Open | null = null
  parser.on('error', error => refuse(error.message))
  parser.on('doctype', () => refuse('it has a document type, which may declare entities without end'))
  parser.on('xmldecl', ({ encoding }) => {
    if (encoding !== undefined && !/^utf-8$/i.test(encoding))
      refuse(`it says that its encoding is ${encoding}, not UTF-8`)
  })
  parser.on('opentag', tag => {
    const element: Open = { name: tag.local, attributes: attributesOf(tag.attributes), children: [], text: '' }
    if (open.length >= deepest) refuse(`its elements are nested more than ${deepest} deep`)
    open.at(-1)?.children.push(element)
    root ??= element
    open.push(element)
  })
  const add = (more: string) => {
    const current = open.at(-1)
    if (current) current.text += more
  }
  parser.on('text', add)
  parser.on('cdata', add)
  parser.on('closetag', () => void open.pop())
  parser.write(text).close()
  return root ?? refuse('it is empty')
}

type Attribute = { readonly uri: string; readonly local: string; readonly value: string }

function attributesOf(attributes: Record<string, Attribute>): Record<string, string> {
  const named = Object.values(attributes).map(({ uri, local, value }) => [uri === xsi ? `xsi:${local}` : local, value])
  return Object.fromEntries(named) as Record<string, string>
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return refuse('it is not UTF-8')
  }
}

function refuse(why: string): never {
  throw new Error(`the XML cannot be read: ${why}`)
}

const marks: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#13;' }

/** `text` as it may stand between tags and in attributes; an Error where XML 1.0 has no way to say it. */
export function escapeXml(text: string): string {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text) || !text.isWellFormed())
    throw new Error(`a character of ${JSON.stringify(text)} cannot be sent: XML has no way to write it`)
  return text.replace(/[&<>"\r]/g, mark => marks[mark] ?? mark)
}
