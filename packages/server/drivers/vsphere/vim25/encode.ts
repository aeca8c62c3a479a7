// Values of the schema's types as XML. Elements go out in the order of the tables, whatever the order of the keys; what the
// schema does not know, demands, or knows only in a later version, is refused here instead of by the server.
import { type Field, descends, fieldsOf, isTypeName, parametersOf } from './schema.ts'
import { escapeXml } from './xml.ts'
import { atLeast } from './version.ts'

/** The body of a call: the method's element with the object and the parameters. */
export function encodeCall(method: string, self: string, parameters: object, version: string): string {
  const inside = encodeFields(parametersOf(method), parameters, method, version)
  return `<${method} xmlns="urn:vim25">${encodeRef('_this', self)}${inside}</${method}>`
}

function encodeFields(fields: readonly Field[], value: object, path: string, version: string): string {
  const given = new Map(Object.entries(value).filter(([key, each]) => key !== 'is' && each !== undefined))
  const parts = fields.map(field => encodeField(field, given.get(field.name), `${path}.${field.name}`, version))
  for (const { name } of fields) given.delete(name)
  const [unknown] = given.keys()
  if (unknown !== undefined) throw new Error(`${path} has no ${unknown}`)
  return parts.join('')
}

function encodeField(field: Field, value: unknown, path: string, version: string): string {
  if (value === undefined) {
    if (field.optional) return ''
    throw new Error(`${path} is missing`)
  }
  if (Array.isArray(value) && value.length === 0 && field.list) return ''
  if (field.since !== null && !atLeast(version, field.since))
    throw new UnknownToServer(`${path} needs vSphere ${field.since}; this server speaks ${version}`)
  const each = (one: unknown) => encodeValue(field.name, field.type, one, path, version)
  if (!field.list) return each(value)
  if (!Array.isArray(value)) throw new Error(`${path} is a list`)
  return value.map(each).join('')
}

/** What was asked for is newer than the server. */
export class UnknownToServer extends Error {}

function encodeValue(name: string, type: string, value: unknown, path: string, version: string): string {
  if (type === 'ref') return encodeRef(name, value)
  if (type === 'any') return encodeAny(name, value, path, version)
  if (isTypeName(type)) return encodeData(name, type, value, path, version)
  return `<${name}>${encodeSimple(type, value, path)}</${name}>`
}

function encodeData(name: string, type: string, value: unknown, path: string, version: string): string {
  if (typeof value !== 'object' || value === null) throw new Error(`${path} is to be a ${type}`)
  const actual = 'is' in value && typeof value.is === 'string' ? value.is : type
  if (!descends(actual, type)) throw new Error(`${path} is to be a ${type}, and not a ${actual}`)
  return `<${name} xsi:type="${actual}">${encodeFields(fieldsOf(actual), value, path, version)}</${name}>`
}

function encodeAny(name: string, value: unknown, path: string, version: string): string {
  if (typeof value === 'object' && value !== null && 'is' in value && typeof value.is === 'string') {
    const { is } = value
    return `<${name} xsi:type="${is}">${encodeFields(fieldsOf(is), value, path, version)}</${name}>`
  }
  const type = typeof value === 'number' ? 'int' : typeof value
  if (type !== 'int' && type !== 'boolean' && type !== 'string') throw new Error(`${path} cannot be a ${type}`)
  return `<${name} xsi:type="xsd:${type}">${encodeSimple(type, value, path)}</${name}>`
}

function encodeRef(name: string, value: unknown): string {
  const [kind = '', id = ''] = typeof value === 'string' ? splitRef(value) : []
  if (kind === '' || id === '') throw new Error(`${name} is to be a reference, and not ${JSON.stringify(value)}`)
  return `<${name} type="${escapeXml(kind)}">${escapeXml(id)}</${name}>`
}

/** The type of a managed object and the server's name for it. */
export function splitRef(ref: string): [kind: string, id: string] {
  const at = ref.indexOf(':')
  return at < 0 ? ['', ref] : [ref.slice(0, at), ref.slice(at + 1)]
}

const bounds: Readonly<Record<string, number>> = {
  byte: 2 ** 7 - 1,
  short: 2 ** 15 - 1,
  int: 2 ** 31 - 1,
  long: Number.MAX_SAFE_INTEGER,
}

function encodeSimple(type: string, value: unknown, path: string): string {
  const bound = bounds[type]
  const fits =
    bound !== undefined
      ? typeof value === 'number' && Number.isInteger(value) && value <= bound && value >= -bound - 1
      : type === 'boolean'
        ? typeof value === 'boolean'
        : type === 'double'
          ? typeof value === 'number' && Number.isFinite(value)
          : typeof value === 'string'
  if (!fits) throw new Error(`${path} is to be of the type ${type}, and not ${JSON.stringify(value)}`)
  return escapeXml(String(value))
}
