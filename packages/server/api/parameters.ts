// The parameters of a command: each says its type on the wire, how text becomes a value, and why it cannot.
// Rules: cloudstack-api 1.1. Names ignore case, unknown ones are ignored, an empty optional string clears a value.
import { isIP } from 'node:net'
import { type Id, parseId } from '@ramet/core/ids.ts'
import { labelRefusal } from '@ramet/core/names.ts'
import { Problem } from '@ramet/core/problem.ts'

/** Everything a request says, names in lower case, values decoded. */
export type RawParameters = ReadonlyMap<string, string>

export interface Parameter<T> {
  readonly type: 'string' | 'uuid' | 'boolean' | 'integer' | 'long' | 'list' | 'map' | 'date'
  readonly description: string
  readonly required: boolean
  readonly length: number
  /** The value of parameter `name`, or undefined when it is absent. Throws a Problem that names the parameter. */
  read(name: string, raw: RawParameters): T
}

export type Values<P> = { readonly [K in keyof P]: P[K] extends Parameter<infer T> ? T : never }

export function invalid(name: string, reason: string): Problem {
  return new Problem('invalid', 'invalid-parameter', `Parameter ${name} ${reason}`)
}

type Reader<T> = (name: string, value: string) => T | undefined

interface Optional<T> extends Parameter<T | undefined> {
  /** The same parameter, demanded. */
  readonly must: Parameter<T>
}

function single<T>(type: Parameter<T>['type'], description: string, read: Reader<T>, length = 255): Optional<T> {
  const common = { type, description, length }
  const optional = (name: string, raw: RawParameters) => {
    const given = raw.get(name)
    return given === undefined ? undefined : read(name, checked(name, given, length))
  }
  const must: Parameter<T> = {
    ...common,
    required: true,
    read(name, raw) {
      const value = raw.get(name) === '' ? undefined : optional(name, raw)
      if (value === undefined) throw invalid(name, 'is missing')
      return value
    },
  }
  return { ...common, required: false, read: optional, must }
}

function checked(name: string, value: string, length: number): string {
  if (value.length > length)
    throw invalid(name, `is too long: ${value.length} characters, at most ${length} are allowed`)
  if (controlCharacters.test(value)) throw invalid(name, 'contains control characters')
  return value
}

// Tab, line feed and carriage return are judged by each type of parameter.
const controlCharacters = /(?![\t\n\r])\p{Cc}/u

/** Text of one line. */
export function text(description: string, length = 255): Optional<string> {
  return single(
    'string',
    description,
    (name, value) => {
      if (/[\n\r\t]/.test(value)) throw invalid(name, 'must be a single line without tabs')
      return value
    },
    length,
  )
}

/** Text that may have lines: keys, base64, scripts. */
export function longText(description: string, length: number): Optional<string> {
  return single('string', description, (_, value) => value, length)
}

/** A name that people give to a thing: not blank. */
export function label(description: string): Optional<string> {
  return single('string', description, (name, value) => {
    if (/[\n\r\t]/.test(value)) throw invalid(name, 'must be a single line without tabs')
    const refusal = labelRefusal(value)
    if (refusal) throw invalid(name, refusal)
    return value
  })
}

/** An IP address; empty clears it. */
export function ipAddress(description: string, versions: readonly (4 | 6)[] = [4, 6]): Optional<string> {
  return single('string', description, (name, value) => {
    if (value !== '' && !(versions as readonly number[]).includes(isIP(value)))
      throw invalid(name, `must be an IP${versions.length === 1 ? `v${versions[0]}` : ''} address; "${value}" is none`)
    return value
  })
}

/** Of one card, not of a group of them; empty is as if absent. */
export function macAddress(description: string): Optional<string> {
  return single('string', description, (name, value) => {
    if (value !== '' && !/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i.test(value))
      throw invalid(name, `must be a MAC address of one card, such as 52:54:00:12:34:56; "${value}" is none`)
    return value.toLowerCase()
  })
}

export function choice<const C extends string>(description: string, choices: readonly C[]): Optional<C> {
  return single('string', `${description}: ${choices.join(', ')}`, (name, value) => {
    const found = choices.find(each => each.toLowerCase() === value.toLowerCase())
    if (!found) throw invalid(name, `must be one of ${choices.join(', ')}; it is "${value}"`)
    return found
  })
}

/** For lists: the state of what they show. Empty means any; one that does not exist is told, for an empty list would mislead. */
export function stateFilter<const C extends string>(
  description: string,
  states: readonly C[],
): Parameter<C | undefined> {
  const named = choice(description, states)
  return { ...named, read: (name, raw) => (raw.get(name) === '' ? undefined : named.read(name, raw)) }
}

export const allocationState = choice('takes new machines (Enabled) or not (Disabled)', ['Enabled', 'Disabled'])

export function id<K extends string>(description: string): Optional<Id<K>> {
  return single('uuid', description, (name, value) => {
    const found = parseId<K>(value)
    if (!found) throw invalid(name, `must be a UUID; "${value}" is none`)
    return found
  })
}

/** `true` in any case is true, everything else is false. */
export function flag(description: string): Optional<boolean> {
  return single('boolean', description, (_, value) => value.toLowerCase() === 'true')
}

export function integer(description: string, min: number, max: number): Optional<number> {
  return single('integer', description, (name, value) =>
    value === '' ? undefined : wholeNumber(name, value, min, max),
  )
}

export function long(description: string, min: number, max: number): Optional<number> {
  return single('long', description, (name, value) => wholeNumber(name, value, min, max))
}

function wholeNumber(name: string, value: string, min: number, max: number): number {
  const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN
  if (Number.isNaN(number)) throw invalid(name, `must be a whole number; "${value}" is none`)
  if (number < min || number > max) throw invalid(name, `must be from ${min} to ${max}; it is ${number}`)
  return number
}

/** yyyy-MM-dd, yyyy-MM-dd HH:mm:ss or yyyy-MM-dd'T'HH:mm:ssZ; without an offset UTC is meant. */
export function date(description: string): Optional<Date> {
  return single('date', description, (name, value) => {
    const [day, time = '00:00:00', zone = '+0000'] =
      value.match(/^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(Z|[+-]\d{4})?)?$/)?.slice(1) ?? []
    const found = new Date(`${day}T${time}${zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3)}`}`)
    if (Number.isNaN(found.getTime()))
      throw invalid(name, `must be a date like 2026-01-31 or 2026-01-31T12:00:00+0000; "${value}" is none`)
    return found
  })
}

/** `a,b,c` */
export function list<T>(description: string, item: Parameter<T | undefined>): Optional<T[]> {
  return single(
    'list',
    description,
    (name, value) => {
      const parts = value
        .split(',')
        .map(part => part.trim())
        .filter(part => part !== '')
      return parts.map(part => item.read(name, new Map([[name, part]])) as T)
    },
    64 * 1024,
  )
}

/** A list of ids that names at least one thing. */
export function ids<K extends string>(description: string): Parameter<Id<K>[] | undefined> {
  const all = list(description, id<K>(description))
  return {
    ...all,
    read(name, raw) {
      const found = all.read(name, raw)
      if (found?.length === 0) throw invalid(name, 'names nothing; leave it out')
      return found
    },
  }
}

/** `name[0].key=value`; both `details[0].cpuNumber=2` and `tags[0].key=k&tags[0].value=v` are understood. */
export function map(description: string): Parameter<ReadonlyMap<string, string>> {
  return { type: 'map', description, required: false, length: 255, read: readMap }
}

/** `name[0].networkid=…&name[0].ip=…`: several things, each with the same fields. */
export function records<P extends Record<string, Parameter<unknown>>>(
  description: string,
  fields: P,
): Parameter<Values<P>[]> {
  const told = Object.entries(fields).map(([name, field]) => `${name}: ${field.description}`)
  return {
    type: 'map',
    description: `${description}; ${told.join('; ')}`,
    required: false,
    length: 255,
    read: (name, raw) =>
      [...entriesOf(name, raw)].map(([index, entry]) => recordOf(`${name}[${index}]`, fields, entry)),
  }
}

function recordOf<P extends Record<string, Parameter<unknown>>>(
  name: string,
  fields: P,
  entry: RawParameters,
): Values<P> {
  const values = Object.entries(fields).map(([field, parameter]) => {
    const given = entry.get(field)
    return [
      field,
      parameter.read(`${name}.${field}`, new Map(given === undefined ? [] : [[`${name}.${field}`, given]])),
    ]
  })
  return Object.fromEntries(values) as Values<P>
}

function readMap(name: string, raw: RawParameters): Map<string, string> {
  return new Map([...entriesOf(name, raw).values()].flatMap(pairsOf))
}

function entriesOf(name: string, raw: RawParameters): Map<string, Map<string, string>> {
  const entries = new Map<string, Map<string, string>>()
  for (const [key, value] of raw) {
    const [, index, field] = key.match(/^[^[]+\[(\d+)\]\.?([^[\]]*)$/) ?? []
    if (!key.startsWith(`${name}[`)) continue
    if (index === undefined || field === undefined)
      throw new Problem('malformed', 'malformed-map', `Parameter ${key} is not of the form ${name}[0].key=value`)
    entries.set(index, (entries.get(index) ?? new Map()).set(field, checked(key, value, 4096)))
  }
  return entries
}

function pairsOf(entry: Map<string, string>): [string, string][] {
  const key = entry.get('key')
  return key !== undefined && entry.has('value') ? [[key, entry.get('value') ?? '']] : [...entry]
}

export function readParameters<P extends Record<string, Parameter<unknown>>>(
  declared: P,
  raw: RawParameters,
): Values<P> {
  return Object.fromEntries(Object.entries(declared).map(([name, each]) => [name, each.read(name, raw)])) as Values<P>
}
