// A call's parameters, from values as programs hold them to the flat names that go over the wire.

type Scalar = string | number | boolean
type Entries = Readonly<Record<string, Scalar>>
export type Parameter = Scalar | readonly Scalar[] | Entries | readonly Entries[] | null | undefined
export type Parameters = Readonly<Record<string, Parameter>>

/** Lists become `a,b`, maps become `name[0].key=value`; what is null or undefined is left out. */
export function flatten(parameters: Parameters): Map<string, string> {
  return new Map(Object.entries(parameters).flatMap(([name, value]) => flattenOne(name, value)))
}

function flattenOne(name: string, value: Parameter): (readonly [string, string])[] {
  if (value === null || value === undefined) return []
  if (!isObject(value)) return [[name, String(value)]]
  const list: readonly (Scalar | Entries)[] = isList(value) ? value : [value]
  if (!list.some(isObject)) return [[name, list.map(String).join(',')]]
  return list
    .filter(isObject)
    .flatMap((entries, index) =>
      Object.entries(entries).map(([key, entry]) => [`${name}[${index}].${key}`, String(entry)] as const),
    )
}

function isObject<T>(value: T): value is Exclude<T, Scalar> {
  return typeof value === 'object'
}

function isList(value: object): value is readonly (Scalar | Entries)[] {
  return Array.isArray(value)
}
