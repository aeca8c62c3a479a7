// The part of the vim25 schema that we speak, as tables, and what follows from them: TypeScript types, the order of elements,
// who descends from whom. vim25 is strict about order (xsd:sequence), so the order of the keys in a table is the order on the wire.
//
// A field is written 'TYPE', 'TYPE?' where it may be absent, 'TYPE[]' where there may be any number, and a version behind it
// ('boolean? 5.5') where older servers would refuse it. The first key `extends` names the base type, whose fields come first.
import { customizationTypes } from './types-customization.ts'
import { collectorTypes } from './types-collector.ts'
import { deviceTypes } from './types-devices.ts'
import { faultTypes } from './types-faults.ts'
import { machineTypes } from './types-machines.ts'
import { methods } from './methods.ts'

export type Table = Readonly<Record<string, Readonly<Record<string, string>>>>

export const types = {
  ...collectorTypes,
  ...deviceTypes,
  ...machineTypes,
  ...customizationTypes,
  ...faultTypes,
} as const satisfies Table

type Types = typeof types
export type TypeName = keyof Types
export type MethodName = keyof typeof methods

/** A managed object: its type and the server's name for it. Unique within one vCenter only. */
export type Ref<Kind extends string = string> = `${Kind}:${string}`

/** What stands where the schema says xsd:anyType. */
export type Any = string | number | boolean | AnyData | readonly Any[]
export interface AnyData {
  readonly is: string
  readonly [field: string]: unknown
}

interface Simple {
  string: string
  boolean: boolean
  byte: number
  short: number
  int: number
  long: number
  double: number
  dateTime: string
  ref: Ref
  any: Any
  base64: string
}

type Parent<N extends TypeName> = Types[N] extends { extends: infer P extends TypeName } ? P : never
type Lineage<N extends TypeName> = N | ([Parent<N>] extends [never] ? never : Lineage<Parent<N>>)
type Descendants<N extends TypeName> = { [K in TypeName]: N extends Lineage<K> ? K : never }[TypeName]

type Bare<S> = S extends `${infer B} ${string}` ? B : S
export type ValueOf<S> = Value<S>
type Value<S> = S extends `${infer E}[]`
  ? readonly Value<E>[]
  : S extends `${infer E}?`
    ? Value<E>
    : S extends keyof Simple
      ? Simple[S]
      : S extends 'MethodFault' // one of many; isFault tells them apart
        ? AnyData
        : S extends TypeName
          ? Data<S>
          : never

type Optional<F> = { [K in keyof F]: Bare<F[K]> extends `${string}?` | `${string}[]` ? K : never }[keyof F]
type Fields<F> = { readonly [K in Exclude<keyof F, Optional<F> | 'extends' | 'returns'>]: Value<Bare<F[K]>> } & {
  readonly [K in Exclude<Optional<F>, 'extends' | 'returns'>]?: Value<Bare<F[K]>> | undefined
}
type AllFields<N extends TypeName> = Fields<Types[N]> & ([Parent<N>] extends [never] ? unknown : AllFields<Parent<N>>)

interface Exact<N extends TypeName> {
  readonly is: N
}
type DataTable = {
  readonly [N in TypeName]: [Exclude<Descendants<N>, N>] extends [never]
    ? Partial<Exact<N>> & AllFields<N>
    : { [K in Descendants<N>]: Exact<K> & AllFields<K> }[Descendants<N>]
}
type ParameterTable = { readonly [M in MethodName]: Fields<(typeof methods)[M]> }
type ResultTable = {
  readonly [M in MethodName]: (typeof methods)[M] extends { returns: infer R } ? Returned<R> : void
}
type Returned<R> = Bare<R> extends `${string}?` ? Value<Bare<R>> | undefined : Value<Bare<R>>

/** A data object. Where several types may stand, `is` says which one it is. */
export type Data<N extends TypeName> = DataTable[N]
export type Parameters<M extends MethodName> = ParameterTable[M]
export type Result<M extends MethodName> = ResultTable[M]

export interface Field {
  readonly name: string
  readonly type: string
  readonly optional: boolean
  readonly list: boolean
  /** First version of the API that knows the field. */
  readonly since: string | null
}

const anyTable: Table = types
const anyMethods: Table = methods

export function isTypeName(name: string): name is TypeName {
  return Object.hasOwn(types, name)
}

export function parentOf(name: string): string | null {
  return anyTable[name]?.['extends'] ?? null
}

/** Is the type `name` the type `ancestor`, or one that descends from it? */
export function descends(name: string, ancestor: string): boolean {
  for (let each: string | null = name; each !== null; each = parentOf(each)) if (each === ancestor) return true
  return false
}

const fieldsKnown = new Map<string, readonly Field[]>()

/** All fields of a data object in the order of the wire: those of the base type come first. */
export function fieldsOf(name: string): readonly Field[] {
  const known = fieldsKnown.get(name)
  if (known) return known
  const parent = parentOf(name)
  const fields = [...(parent === null ? [] : fieldsOf(parent)), ...ownFields(anyTable[name] ?? {})]
  fieldsKnown.set(name, fields)
  return fields
}

export function parametersOf(method: string): readonly Field[] {
  return ownFields(anyMethods[method] ?? {})
}

export function resultOf(method: string): Field | null {
  const returns = anyMethods[method]?.['returns']
  return returns === undefined ? null : parseField('returnval', returns)
}

export function ownFields(table: Readonly<Record<string, string>>): Field[] {
  return Object.entries(table).flatMap(([name, text]) =>
    name === 'extends' || name === 'returns' ? [] : parseField(name, text),
  )
}

function parseField(name: string, text: string): Field {
  const [declared = '', since = null] = text.split(' ')
  const type = declared.replace(/\[\]$|\?$/, '')
  return { name, type, optional: declared !== type, list: declared.endsWith('[]'), since }
}
