import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import { UsageError } from './explain.ts'
import { readValues } from './values.ts'

const folder = mkdtempSync(join(tmpdir(), 'ramet-values-'))
after(() => rmSync(folder, { recursive: true }))

function aFile(content: string): string {
  const file = join(folder, String(Math.random()))
  writeFileSync(file, content)
  chmodSync(file, 0o600)
  return file
}

test('a value comes from a file or from standard input, without the line break at its end, or is what it is', async () => {
  const file = aFile(' p@ss "wörd"\nof two lines\r\n')
  const given = { a: '1', password: `@${file}`, b: '', email: 'me@here', handle: '@@me', at: '@@@', userdata: '@-' }
  assert.deepEqual(await readValues(given, Readable.from(['from ', 'a pipe\n'])), {
    a: '1',
    password: ' p@ss "wörd"\nof two lines',
    b: '',
    email: 'me@here',
    handle: '@me',
    at: '@@',
    userdata: 'from a pipe',
  })
  assert.deepEqual(await readValues({ a: `@${aFile('')}` }), { a: '' })
})

test('a file that cannot be read, and an input that is not there, are refused with the way out', async () => {
  const refused = (value: string, told: RegExp) =>
    assert.rejects(readValues({ password: value }), (error: unknown) => {
      assert.ok(error instanceof UsageError)
      assert.match(error.message, told)
      return true
    })
  await refused('@/none/here', /The file of password cannot be read: ENOENT.*\/none\/here.*@@TEXT/)
  await refused(`@${folder}`, /EISDIR/)
  await refused('@', /names no file/)
  const terminal = Object.assign(Readable.from(['typed']), { isTTY: true })
  await assert.rejects(readValues({ password: '@-' }, terminal), /password=@- .*terminal/)
  await assert.rejects(readValues({ a: '@-', b: '@-' }), /Only one .* a and b/)
})
