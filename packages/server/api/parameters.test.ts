import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Problem } from '@ramet/core/problem.ts'
import { choice, date, flag, id, integer, list, long, longText, map, type Parameter, text } from './parameters.ts'

function read<T>(parameter: Parameter<T>, value?: string, name = 'p'): T {
  return parameter.read(name, new Map(value === undefined ? [] : [[name, value]]))
}

function refusalOf(parameter: Parameter<unknown>, value?: string): string {
  try {
    read(parameter, value)
  } catch (error) {
    assert.ok(error instanceof Problem)
    assert.equal(error.kind, 'invalid')
    return error.message
  }
  return assert.fail('it was accepted')
}

test('an absent optional parameter is undefined, an absent required one is named', () => {
  assert.equal(read(text('a name')), undefined)
  assert.equal(refusalOf(text('a name').must), 'Parameter p is missing')
})

test('an empty text is a value when optional and missing when required', () => {
  assert.equal(read(text('a name'), ''), '')
  assert.equal(refusalOf(text('a name').must, ''), 'Parameter p is missing')
})

test('text is one line of at most its length, without control characters', () => {
  assert.equal(read(text('a name'), 'Büro 日本'), 'Büro 日本')
  assert.match(refusalOf(text('a name'), 'two\nlines'), /single line/)
  assert.match(refusalOf(longText('a key', 100), 'bell\u0007'), /control characters/)
  assert.match(refusalOf(text('a name'), 'x'.repeat(256)), /256 characters, at most 255/)
  assert.equal(read(longText('a key', 100), 'two\nlines'), 'two\nlines')
})

test('a flag is true only for true, in any case', () => {
  assert.equal(read(flag('whether'), 'TRUE'), true)
  for (const value of ['false', 'yes', '1', '']) assert.equal(read(flag('whether'), value), false)
})

test('whole numbers keep to their range; an empty integer is absent, an empty long is refused', () => {
  assert.equal(read(integer('n', -1, 500), '-1'), -1)
  assert.equal(read(integer('n', 0, 500), ''), undefined)
  assert.match(refusalOf(integer('n', 0, 500), '501'), /from 0 to 500; it is 501/)
  for (const value of ['1.5', '1e3', '0x10', ' 1', ''])
    assert.match(refusalOf(long('n', 0, 500), value), /whole number/)
})

test('an id is a UUID in any case', () => {
  assert.equal(
    read(id<'vm'>('a machine'), 'ABCDEF00-0000-4000-8000-000000000000'),
    'abcdef00-0000-4000-8000-000000000000',
  )
  for (const value of ['17', '']) assert.match(refusalOf(id<'vm'>('a machine'), value), /must be a UUID/)
})

test('a choice ignores case and names what there is', () => {
  assert.equal(read(choice('kind', ['full', 'linked']), 'FULL'), 'full')
  assert.match(refusalOf(choice('kind', ['full', 'linked']), 'thin'), /one of full, linked; it is "thin"/)
})

test('dates come as a day, with a time, or with an offset', () => {
  assert.equal(read(date('when'), '2026-01-31')?.toISOString(), '2026-01-31T00:00:00.000Z')
  assert.equal(read(date('when'), '2026-01-31 12:30:00')?.toISOString(), '2026-01-31T12:30:00.000Z')
  assert.equal(read(date('when'), '2026-01-31T12:30:00+0200')?.toISOString(), '2026-01-31T10:30:00.000Z')
  assert.equal(read(date('when'), '2026-01-31T12:30:00Z')?.toISOString(), '2026-01-31T12:30:00.000Z')
  for (const value of ['yesterday', '2026-13-01', '31.01.2026']) assert.match(refusalOf(date('when'), value), /a date/)
})

test('lists are separated by commas, and every entry is checked', () => {
  assert.deepEqual(read(list('names', text('a name')), 'a, b,,c'), ['a', 'b', 'c'])
  assert.match(refusalOf(list('ids', id<'vm'>('a machine')), 'abcdef00-0000-4000-8000-000000000000,x'), /"x" is none/)
})

test('maps are understood in both spellings, with gaps', () => {
  const raw = new Map([
    ['details[0].cpunumber', '2'],
    ['details[7].key', 'memory'],
    ['details[7].value', '512'],
    ['detailsother', 'x'],
  ])
  assert.deepEqual(
    [...map('details').read('details', raw)],
    [
      ['cpunumber', '2'],
      ['memory', '512'],
    ],
  )
})

test('a map that cannot be read is malformed', () => {
  for (const key of ['p[0', 'p[x].k', 'p[0][1].k'])
    assert.throws(
      () => map('m').read('p', new Map([[key, 'v']])),
      error => error instanceof Problem && error.kind === 'malformed',
    )
})
