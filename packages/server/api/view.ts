// What an object looks like on the wire. A view names its fields once: their type, their meaning, and where they come
// from; listApis, the API page and every answer follow from it. Fields without a value are left out, never sent as null.

export type FieldType = 'string' | 'boolean' | 'integer' | 'long' | 'float' | 'date' | 'list' | 'map' | 'object'

export interface Field<Source> {
  readonly type: FieldType
  readonly description: string
  readonly from: (source: Source) => unknown
  /** Fields of nested objects, for listApis. */
  readonly nested?: View<never>
  /** Users and administrators of domains do not see it. */
  readonly isForAdmins?: true
}

export interface View<Source> {
  /** The name of the object inside an answer. */
  readonly object: string
  readonly fields: Readonly<Record<string, Field<Source>>>
}

export function view<Source>(object: string, fields: Record<string, Field<Source>>): View<Source> {
  return { object, fields }
}

/** A field of one type, for use in a view: `name: string('its name', vm => vm.name)`. */
function field(type: FieldType) {
  return <Source>(description: string, from: (source: Source) => unknown): Field<Source> => ({
    type,
    description,
    from,
  })
}

export const string = field('string')
export const boolean = field('boolean')
export const integer = field('integer')
export const long = field('long')
export const float = field('float')
export const date = field('date')
export const map = field('map')
export const list = field('list')

/** What tells how the installation is built: for root administrators alone, as upstream has it. */
export function forAdmins<Source>(shown: Field<Source>): Field<Source> {
  return { ...shown, isForAdmins: true }
}

export function nested<Source, Inner>(
  description: string,
  inner: View<Inner>,
  from: (source: Source) => readonly Inner[] | undefined,
): Field<Source> {
  return {
    type: 'list',
    description,
    nested: inner,
    from: source => from(source)?.map(each => render(inner, each, false)),
  }
}

export function render<Source>({ fields }: View<Source>, source: Source, forAdmin: boolean): Record<string, unknown> {
  // A loop, for lists of thousands with seventy fields each come through here.
  const shown: Record<string, unknown> = {}
  for (const name in fields) {
    const shows = fields[name]
    if (!shows || (shows.isForAdmins && !forAdmin)) continue
    const value = wireValue(shows.from(source))
    if (value !== undefined && value !== null) shown[name] = value
  }
  return shown
}

function wireValue(value: unknown): unknown {
  return value instanceof Date ? wireDate(value) : value
}

/** 2025-01-31T12:00:00+0000: no milliseconds, offset without colon. */
export function wireDate(moment: Date): string {
  return `${moment.toISOString().slice(0, 19)}+0000`
}
