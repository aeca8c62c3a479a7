import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commands } from './commands/index.ts'
import { type ApiDescription, describeApi, type FieldDescription } from './describe.ts'
import { docsPage } from './pages/docs.ts'

const apis = describeApi(commands)

test('every command is described once, sorted, beside login and logout', () => {
  const names = apis.map(api => api.name)
  assert.deepEqual(names, [...new Set(names)].toSorted())
  assert.equal(names.length, commands.length + 2)
  assert.ok(names.includes('login') && names.includes('logout') && names.includes('listApis'))
})

test('every parameter and every field has a type and a meaning', () => {
  const bare = apis.flatMap(api => [...api.params, ...fieldsOf(api)].filter(each => !each.type || !each.description))
  assert.deepEqual(bare, [])
})

test('names of parameters are in lower case, as the door reads them', () => {
  const wrong = apis.flatMap(api => api.params.map(each => each.name).filter(name => name !== name.toLowerCase()))
  assert.deepEqual(wrong, [])
})

test('the API page names every command and loads nothing from elsewhere', () => {
  const page = docsPage(apis)
  for (const { name } of apis) assert.ok(page.includes(`<section id="${name}"`), name)
  assert.doesNotMatch(page, /(src|href)="(?![/#])|<script>|style=/)
})

function fieldsOf({ response }: Pick<ApiDescription, 'response'>): FieldDescription[] {
  return response.flatMap(field => [field, ...fieldsOf({ response: field.response ?? [] })])
}
