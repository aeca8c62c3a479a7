import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { makeFolders } from './folder-mark.ts'

async function aFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ramet-mark-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o7777

test('a folder is made with passage for all, and may be taken again', async t => {
  const folder = join(await aFolder(t), 'deep', 'pool')
  for (let i = 0; i < 2; i++) {
    await makeFolders(folder, 'layers')
    await writeFile(join(folder, 'layers', 'a'), '')
    assert.deepEqual([await modeOf(folder), await modeOf(join(folder, 'layers'))], [0o711, 0o711])
  }
})

test('a folder with other things in it keeps its rights, also behind a link', async t => {
  const folder = await aFolder(t)
  const [taken, link] = [join(folder, 'tmp'), join(folder, 'link')]
  await mkdir(taken)
  await chmod(taken, 0o1777)
  await writeFile(join(taken, 'PG_VERSION'), '')
  await symlink(taken, link)
  for (const path of [taken, link])
    await assert.rejects(makeFolders(path, 'layers'), { code: 'folder-occupied', message: /such as PG_VERSION/ })
  assert.equal(await modeOf(taken), 0o1777)
  assert.deepEqual(await readdir(taken), ['PG_VERSION'])
})

test('what cannot be a folder is told with the reason', async t => {
  const file = join(await aFolder(t), 'file')
  await writeFile(file, '')
  for (const path of [file, join(file, 'inside'), `/${'x'.repeat(300)}`, '/proc/ramet'])
    await assert.rejects(makeFolders(path, 'layers'), { kind: 'invalid', code: 'folder-unusable' }, path)
})
