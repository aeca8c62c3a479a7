import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArgs } from 'node:util'
import { defaultDataDir } from '@ramet/server/data-dir.ts'
import { parseArguments } from './arguments.ts'
import { columnsFor } from './columns.ts'
import { explain, UsageError } from './explain.ts'
import { nearest } from './near.ts'
import { openProgress } from './progress.ts'
import { render } from './render.ts'
import { fit, table } from './table.ts'

test('a call is read from its words, and a value may hold equals signs', () => {
  const words = ['deployVirtualMachine', 'name=web', 'details[0].key=a=b', '--json', '--data-dir', '/a b', 'empty=']
  assert.deepEqual(parseArguments(words), {
    command: 'deployVirtualMachine',
    parameters: { name: 'web', 'details[0].key': 'a=b', empty: '' },
    json: true,
    dataDir: '/a b',
    url: null,
  })
  assert.equal(parseArguments(['listZones', '--url=http://h:1']).url, 'http://h:1')
})

test('a word that is no parameter is refused with an example', () => {
  assert.throws(() => parseArguments(['listZones', 'running']), /write NAME=VALUE/)
  assert.throws(() => parseArguments(['listZones', '--jsn']), /There is no option --jsn/)
  assert.throws(() => parseArguments(['listZones', '--url']), UsageError)
})

test('the data directory is named by the environment, else by who one is', () => {
  assert.equal(defaultDataDir({ RAMET_DATA_DIR: '/data' }, true), '/data')
  assert.equal(defaultDataDir({}, true), '/var/lib/ramet')
  assert.match(defaultDataDir({}, false), /\/\.local\/share\/ramet$/)
})

test('a mistyped command finds its neighbours', () => {
  const names = ['listVirtualMachines', 'listVMSnapshot', 'startVirtualMachine', 'listZones']
  assert.equal(nearest('listVirtualMachine', names)[0], 'listVirtualMachines')
  assert.deepEqual(nearest('listZnoes', names), ['listZones'])
  assert.deepEqual(nearest('frobnicate', names), [])
})

test('columns that no object fills are left out, and unknown kinds show what they have', () => {
  assert.deepEqual(columnsFor('zone', [{ id: '1', name: 'z', extra: 'x' }]), ['name', 'id'])
  assert.deepEqual(columnsFor('thing', [{ id: '1', colour: 'red', name: 'a', parts: [] }]), ['name', 'colour', 'id'])
})

const id = '5a1c70b6-3d5f-4bb8-9d51-0d5bb6f3a0f1'

test('a table fits the terminal, with ids whole and wide letters counted', () => {
  const rows = [{ name: '森'.repeat(60), state: 'Running', id }]
  const lines = table(['name', 'state', 'id'], rows, 70).split('\n')
  assert.equal(lines.length, 2)
  assert.match(lines[1] ?? '', new RegExp(`^森+… +Running +${id}$`))
  assert.deepEqual(fit([50, 10, 38], 80, new Set([2])), [32, 10, 38])
})

test('a name cannot send control characters to the terminal', () => {
  assert.equal(table(['name'], [{ name: 'a\u001B[2Jb\nc' }], 80), 'NAME\na [2Jb c')
})

test('a password is shown where a machine is deployed and nowhere else', () => {
  const answer = { virtualmachine: { name: 'web', state: 'Running', password: 's3cret', id } }
  assert.match(render('deployVirtualMachine', answer, 200), /s3cret/)
  assert.doesNotMatch(
    render('listVirtualMachines', { count: 1, virtualmachine: [answer.virtualmachine] }, 200),
    /s3cret/,
  )
})

test('answers without objects read as words', () => {
  assert.equal(render('listZones', {}, 80), 'None')
  assert.equal(render('deleteZone', { success: true }, 80), 'Done')
  assert.equal(render('cloneVirtualMachine', { jobid: 'j', jobstatus: 0 }, 80), 'jobid      j\njobstatus  0')
  assert.equal(
    render('getConsoleLog', { consolelog: { virtualmachineid: id, output: 'line 1\nline 2\n' } }, 80),
    'line 1\nline 2\n',
  )
  assert.match(render('listZones', { count: 7, zone: [{ name: 'a', id }] }, 80), /1 of 7/)
})

test('progress changes in place on a terminal, and elsewhere tells each step once', () => {
  const written: string[] = []
  const plain = openProgress({ write: text => written.push(text) })
  for (const percent of [1, 2, 3]) plain.show({ percent, step: percent < 3 ? 'copy' : 'start' })
  plain.clear()
  assert.deepEqual(written.splice(0), ['copy\n', 'start\n'])
  const terminal = openProgress({ isTTY: true, write: text => written.push(text) })
  terminal.show({ percent: 40, step: 'copy' })
  terminal.clear()
  assert.deepEqual(written, ['\r\u001B[K 40 %  copy', '\r\u001B[K'])
})

test('what nobody foresaw keeps its stack, what the user can mend does not', () => {
  assert.match(explain(new TypeError('oops')), /oops\n +at /)
  assert.equal(explain(new UsageError('say it so')), 'say it so')
  assert.equal(
    explain(thrownBy(() => parseArgs({ args: ['--nonsense'], options: {} }))),
    "Unknown option '--nonsense'. ./ramet help shows what there is",
  )
})

function thrownBy(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}
