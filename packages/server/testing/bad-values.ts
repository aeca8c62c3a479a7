// What people, scripts and attackers put into parameters: values at and beyond the limits of every type.
import { newId } from '@ramet/core/ids.ts'
import type { Parameter } from '../api/parameters.ts'

/** Each is tried on parameters of every type. */
const nasty = [
  '',
  ' ',
  '-1',
  '/',
  '..',
  '../../../etc/passwd',
  "'; drop table vm; --",
  '%_\\',
  'line\nfeed',
  'nul\u0000',
  'escape\u001b[2J',
  '\u{1f600}'.repeat(127),
  'x'.repeat(256),
  'x'.repeat(10_240),
] as const

const numbers = [
  '0',
  '1',
  '2147483647',
  '2147483648',
  '9223372036854775807',
  '99999999999999999999',
  '-9223372036854775808',
  '1e3',
  '0x10',
  '1.5',
  'NaN',
  'Infinity',
] as const

/** Ids are new each time: one that a call was given may be somebody's by now. */
const ofType = (): Readonly<Record<Parameter<unknown>['type'], readonly string[]>> => ({
  string: ['0', '\u202e\u200b', '{"a":1}'],
  uuid: [newId(), newId().toUpperCase(), '123', `${newId()}0`],
  boolean: ['maybe', '1'],
  integer: numbers,
  long: numbers,
  list: [',', ',,,', `${newId()},${newId()}`, Array.from({ length: 300 }, () => newId()).join(',')],
  date: ['0000-00-00', '9999-12-31', '2026-02-30', '2026-01-31T25:00:00+0000', '2026-01-31T12:00:00+9999', '1'],
  map: [],
})

/** Every way in which the parameter `name` is tried: the text of one or more parameters of the call. */
export function badValues(name: string, { type }: Pick<Parameter<unknown>, 'type'>): Record<string, string>[] {
  if (type === 'map') return badMaps(name)
  return [...nasty, ...ofType()[type]].map(value => ({ [name]: value }))
}

function badMaps(name: string): Record<string, string>[] {
  const entries = nasty.map(value => ({ [`${name}[0].key`]: value, [`${name}[0].value`]: value }))
  const values = nasty.map(value => ({ [`${name}[0].size`]: value }))
  const shapes = [
    `${name}[`,
    `${name}[]`,
    `${name}[x].key`,
    `${name}[0`,
    `${name}[0][1].key`,
    `${name}[0].`,
    `${name}[-1].a`,
  ]
  return [
    ...entries,
    ...values,
    ...shapes.map(shape => ({ [shape]: 'x' })),
    { [`${name}[0].key`]: 'x' },
    { [`${name}[0].value`]: 'x' },
    { [`${name}[99999999999].key`]: 'x', [`${name}[99999999999].value`]: 'x' },
    { [`${name}[0].__proto__`]: 'x' },
    { [`${name}[0].cpunumber`]: '99999999999', [`${name}[0].memory`]: '-1', [`${name}[0].cpuspeed`]: 'x' },
  ]
}
