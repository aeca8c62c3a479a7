import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { checks, complaintOf } from './checks.ts'
import { chooseFiles } from './choose-files.ts'

const body = "import { test } from 'node:test'\n"
const files: Record<string, string> = {
  'packages/a/good.test.ts': `${body}test('one', () => {}); test('two', () => {})`,
  'packages/a/bad.test.ts': `${body}test('breaks', () => { throw new Error('the reason') }); test('fine', () => {})`,
  'packages/a/skips.test.ts': `${body}test('waits', { skip: 'no such thing here' }, () => {})`,
  'packages/a/crash.test.ts': 'process.exit(3)',
  'packages/a/node_modules/b/other.test.ts': 'process.exit(3)',
  'images/long.slow.test.ts': `${body}test('long', () => {})`,
}

async function aProject(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'ramet-test-'))
  t.after(() => rm(root, { recursive: true }))
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, file)), { recursive: true })
    await writeFile(join(root, file), text)
  }
  return root
}

/** In a process of its own: within a test, node:test would not run another's files. A file, since -e would be handed on. */
function runTests(root: string, ...args: string[]) {
  const start = join(root, 'start.ts')
  const module = JSON.stringify(join(import.meta.dirname, 'run-tests.ts'))
  const call = `await runTests(process.argv.slice(2), ${JSON.stringify(root)})`
  writeFileSync(start, `import { runTests } from ${module}\nprocess.exitCode = ${call}`)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [start, ...args], { env, encoding: 'utf8' })
  return { status, last: stdout.trim().split('\n').at(-1), stdout, stderr }
}

test('tests that pass end with their number and exit code 0', async t => {
  const { status, last } = runTests(await aProject(t), 'good')
  assert.deepEqual({ status, last }, { status: 0, last: '2 passed, 0 failed' })
})

test('failures, crashes and skips are told with their reasons and counted', async t => {
  const { status, last, stdout } = runTests(await aProject(t), 'packages/')
  assert.deepEqual({ status, last }, { status: 1, last: '3 passed, 2 failed, 1 skipped' })
  assert.match(stdout, /FAILED packages\/a\/bad\.test\.ts: breaks\n +Error: the reason/)
  assert.match(stdout, /FAILED packages\/a\/crash\.test\.ts\n/)
  assert.match(stdout, /SKIPPED packages\/a\/skips\.test\.ts: waits\n +no such thing here/)
})

test('slow tests run only with --all', async t => {
  const root = await aProject(t)
  assert.match(runTests(root, 'images').stderr, /1 slow: add --all/)
  assert.equal(runTests(root, '--all', 'images').last, '1 passed, 0 failed')
})

test('what boots machines does not share the machine', () => {
  const found = ['packages/a.test.ts', 'packages/server/drivers/qemu/b.test.ts', 'e2e/c.test.ts', 'e2e/d.slow.test.ts']
  const { light, heavy, slow } = chooseFiles(found, [], false)
  assert.deepEqual({ light, heavy, slow }, { light: [found[0]], heavy: [found[1], found[2]], slow: 1 })
})

test('a check that cannot run is a complaint, and one that is content says nothing', async () => {
  assert.deepEqual(
    checks.map(({ name }) => name),
    ['types', 'lint', 'format'],
  )
  assert.match((await complaintOf({ name: 'x', command: ['no-such-program'] }, '/')) ?? '', /ENOENT/)
  assert.equal(await complaintOf({ name: 'x', command: ['true'] }, '/'), null)
  assert.equal(await complaintOf({ name: 'x', command: ['sh', '-c', 'echo wrong; exit 1'] }, '/'), 'wrong')
})
