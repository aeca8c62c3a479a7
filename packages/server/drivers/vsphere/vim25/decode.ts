// XML as values of the schema's types. Elements that our tables do not have are passed over: a server may be newer than we are.
import { type Any, type Field, fieldsOf, isTypeName } from './schema.ts'
import type { Element } from './xml.ts'

const simple = new Set(['string', 'boolean', 'byte', 'short', 'int', 'long', 'double', 'dateTime', 'base64'])
const numbers = new Set(['byte', 'short', 'int', 'long', 'double'])

/** The value of a field among the children of `parent`; undefined where there is none. */
export function decodeField(field: Field, parent: Element): unknown {
  const found = parent.children.filter(({ name }) => name === field.name)
  if (field.list) return found.length === 0 ? undefined : found.map(each => decodeAs(field.type, each))
  return found[0] && decodeAs(field.type, found[0])
}

function decodeAs(type: string, element: Element): unknown {
  if (type === 'ref') return decodeRef(element)
  if (type === 'any') return decodeAny(element)
  if (isTypeName(type)) return decodeData(type, element)
  return decodeSimple(type, element)
}

/** As the type that the element says it is; of one that we do not know, what `declared` has of it. */
export function decodeData(declared: string, element: Element): Any {
  const is = withoutPrefix(element.attributes['xsi:type'] ?? declared)
  const fields = fieldsOf(isTypeName(is) ? is : declared)
  const found = fields.map(field => [field.name, decodeField(field, element)] as const)
  return { is, ...Object.fromEntries(found.filter(([, value]) => value !== undefined)) }
}

function decodeAny(element: Element): Any {
  const type = withoutPrefix(element.attributes['xsi:type'] ?? 'string')
  if (type === 'ManagedObjectReference') return decodeRef(element)
  if (type.startsWith('ArrayOf')) return element.children.map(each => decodeItem(type.slice(7), each))
  return decodeNamed(type, element)
}

/** An item of a list that has no more specific type of its own. */
function decodeItem(type: string, element: Element): Any {
  if (type === 'ManagedObjectReference') return decodeRef(element)
  return type === 'AnyType' ? decodeAny(element) : decodeNamed(type, element)
}

function decodeNamed(type: string, element: Element): Any {
  const lower = `${type[0]?.toLowerCase()}${type.slice(1)}`
  if (simple.has(lower)) return decodeSimple(lower, element)
  return element.children.length > 0 || isTypeName(type) ? decodeData(type, element) : element.text
}

function decodeRef(element: Element): string {
  return `${element.attributes['type'] ?? ''}:${element.text}`
}

function decodeSimple(type: string, { text, name }: Element): string | number | boolean {
  const trimmed = text.trim()
  if (type === 'boolean') return trimmed === 'true' || trimmed === '1'
  if (!numbers.has(type)) return text
  const value = Number(trimmed)
  if (trimmed === '' || !Number.isFinite(value))
    throw new Error(`${name} is to be a number, and not ${JSON.stringify(text)}`)
  return value
}

function withoutPrefix(name: string): string {
  return name.slice(name.indexOf(':') + 1)
}
