import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { noVcenter, vcenterProgram } from '../a-vcenter.ts'
import { methods } from './methods.ts'
import { type Table, ownFields, types } from './schema.ts'
import { atLeast, chooseVersion } from './version.ts'

interface Described {
  readonly extends?: string
  /** Null where it has none of its own. */
  readonly elements: readonly { name: string; type: string; optional: boolean; list: boolean }[] | null
}

/** The schema as govmomi has it, generated from VMware's own description of the API. */
function published(names: readonly string[]): Record<string, Described> {
  const printed = spawnSync(vcenterProgram(), ['-schema'], { input: names.join('\n'), encoding: 'utf8' })
  return JSON.parse(printed.stdout) as Record<string, Described>
}

const skip = noVcenter()

test('each table of a type is a part of the published type, in its order', { skip }, () => {
  const tables: Table = types
  const found = published(Object.keys(tables))
  for (const [name, table] of Object.entries(tables)) {
    const type = found[name]
    assert.ok(type, `there is no type ${name}`)
    assert.equal(table['extends'], type.extends, `the base of ${name}`)
    comparePart(name, table, type)
  }
})

test('each method has the published parameters, and all that are demanded', { skip }, () => {
  const tables: Table = methods
  const found = published(Object.keys(tables))
  for (const [name, table] of Object.entries(tables)) {
    assert.ok(found[name], `there is no method ${name}`)
    comparePart(name, table, found[name])
    const demanded = (found[name].elements ?? [])
      .filter(({ optional, list }) => !optional && !list)
      .map(each => each.name)
    assert.deepEqual(
      demanded.filter(each => each !== '_this' && !(each in table)),
      [],
      `what ${name} demands`,
    )
  }
})

function comparePart(name: string, table: Readonly<Record<string, string>>, { elements }: Described): void {
  const ours = ownFields(table).map(comparable)
  const theirs = (elements ?? []).filter(each => ours.some(field => field.name === each.name)).map(comparable)
  assert.deepEqual(ours, theirs, name)
}

/** Without what govmomi does not tell: versions, and whether lists and values of any type may be absent. */
function comparable({ name, type, optional, list }: { name: string; type: string; optional: boolean; list: boolean }) {
  return { name, type, list, optional: list || type === 'any' || optional }
}

test('the version spoken is the highest that both sides know', () => {
  assert.equal(chooseVersion(['8.0.2.0', '7.0', '6.5']), '8.0.2.0')
  assert.equal(chooseVersion(['9.1', '8.0.3.0', '6.5']), '8.0.3.0')
  assert.equal(chooseVersion(['10.0', '5.5']), '5.5')
  assert.equal(chooseVersion(['4.1', 'x']), null)
  assert.ok(atLeast('6.7.3', '6.7') && !atLeast('6.7', '6.7.1') && atLeast('8.0.3.0', '8.0.3'))
})
