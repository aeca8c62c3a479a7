import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { UsageError } from '../explain.ts'
import { Asker } from './ask.ts'
import { chooseOne, chooseSome } from './choose.ts'
import { treeLines } from './tree.ts'

/** Somebody who says these lines; at a terminal or not. */
function aPerson(lines: string, isTTY = false) {
  const [input, output] = [Object.assign(new PassThrough(), { isTTY }), new PassThrough()]
  input.end(lines)
  let said = ''
  output.on('data', chunk => (said += String(chunk)))
  return { asker: new Asker(input, output), said: () => said }
}

const options = [
  { value: 'a', id: '1111', name: 'alpha', heading: 'Letters' },
  { value: 'b', id: '2222', name: 'beta', label: '└─ beta' },
  { value: 'c', id: '3333', name: 'beta' },
]
const question = { text: 'Which?', parameter: 'letter=…' }

test('a tree is drawn with its branches, whatever order its nodes are in', () => {
  const nodes = ['a:', 'b:a', 'c:a', 'd:b', 'e:gone'].map(each => {
    const [id = '', parent = ''] = each.split(':')
    return { id, parent: parent || null }
  })
  const drawn = treeLines(nodes).map(({ node, indent }) => `${indent}${node.id}`)
  assert.deepEqual(drawn, ['a', '├─ b', '│  └─ d', '└─ c', 'e'])
})

test('an option is chosen by number, name or id', async () => {
  for (const [answer, value] of [
    ['1', 'a'],
    ['alpha', 'a'],
    [' 2222 ', 'b'],
    ['3', 'c'],
  ]) {
    const { asker, said } = aPerson(`${answer}\n`)
    assert.equal(await chooseOne(asker, options, question), value)
    assert.match(said(), /Letters\n {2}1 {2}alpha\n {2}2 {2}└─ beta/)
  }
  assert.deepEqual(await chooseSome(aPerson('2,1\n').asker, options, question), ['b', 'a'])
  assert.deepEqual(await chooseSome(aPerson('\n').asker, options, { ...question, otherwise: '' }), [])
})

test('a script that errs or ends early is refused with what it should have said', async () => {
  const refused = (lines: string, why: RegExp) =>
    assert.rejects(chooseOne(aPerson(lines).asker, options, question), error => {
      assert.ok(error instanceof UsageError)
      assert.match(error.message, why)
      return true
    })
  await refused('', /letter=… is missing.*no terminal/)
  await refused('4\n', /"4" is none of them; choose by number from 1 to 3/)
  await refused('beta\n', /Several are named "beta"/)
})

test('a person at a terminal is asked again, and may leave', async () => {
  const { asker, said } = aPerson('nonsense\n\n2\n', true)
  assert.equal(await chooseOne(asker, options, question), 'b')
  assert.match(said(), /"nonsense" is none of them/)
  await assert.rejects(chooseOne(aPerson('4\n', true).asker, options, question), /Nothing was deployed/)
})

test('what the server names cannot send control characters to the terminal', async () => {
  const { asker, said } = aPerson('1\n')
  await chooseOne(asker, [{ value: 'x', id: '1', name: 'a\u001B[2Jb' }], question)
  assert.match(said(), /a \[2Jb/)
})
