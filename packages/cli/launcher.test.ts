import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

const root = join(import.meta.dirname, '../..')
const listed = (await readFile(join(root, 'packages.txt'), 'utf8')).matchAll(/^(\w+) +([\w.+-]+)(\??) /gm)
const packages = [...listed].map(([, part, name = '', mark]) => ({ part, name, isWished: mark === '?' }))

/** A checkout in a folder with spaces, its npm packages installed; programs of the system are stand-ins that note their use. */
async function aCheckout(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'ramet launcher '))
  t.after(() => rm(folder, { recursive: true }))
  const home = join(folder, 'the checkout')
  for (const name of ['node_modules/.bin', 'packages/cli', 'programs'])
    await mkdir(join(home, name), { recursive: true })
  for (const name of ['ramet', 'packages.txt', 'package-lock.json']) await copyFile(join(root, name), join(home, name))
  await utimes(join(home, 'package-lock.json'), 1000, 1000)
  await writeFile(join(home, 'node_modules/.package-lock.json'), '{}')
  await symlink(process.execPath, join(home, 'node_modules/.bin/node'))
  await writeFile(
    join(home, 'packages/cli/main.ts'),
    'console.log(JSON.stringify([process.cwd(), ...process.argv.slice(2)]))',
  )
  const program = async (name: string, script: string) => {
    await writeFile(join(home, 'programs', name), `#!/bin/sh\necho "${name} $*" >>'${folder}/log'\n${script}\n`)
    await chmod(join(home, 'programs', name), 0o755)
  }
  for (const name of ['npm', 'apt-get', 'apt-cache', 'mkdir', 'tee', 'rm'])
    await program(name, name === 'tee' ? 'cat' : '')
  await program('dpkg-query', 'shift 2; printf \'installed %s\\n\' "$@"')
  await program('uname', 'echo x86_64')
  await program('id', 'echo 0')
  // Empty: this machine's own wish to install nothing is not the checkout's.
  const start = (args: string[], options: { cwd?: string; file?: string; env?: Record<string, string> } = {}) => {
    const env = { ...process.env, RAMET_NO_INSTALL: '', PATH: `${home}/programs:${process.env.PATH}`, ...options.env }
    const { file = join(home, 'ramet'), cwd = folder } = options
    const { status, stdout, stderr } = spawnSync(file, args, { env, cwd, encoding: 'utf8' })
    return { status, stdout, stderr }
  }
  return { folder, home, program, start, log: () => readFile(join(folder, 'log'), 'utf8').catch(() => '') }
}

test('the words reach the command line as they are, from any folder and through a link', async t => {
  const { folder, home, start, log } = await aCheckout(t)
  await symlink(join(home, 'ramet'), join(folder, 'a link'))
  const { stdout, stderr } = start(['listZones', 'name=a  b', ''], { file: join(folder, 'a link') })
  assert.deepEqual(JSON.parse(stdout), [folder, 'listZones', 'name=a  b', ''])
  assert.equal(stderr, '')
  assert.equal(await log(), '', 'nothing was run on the way')
})

test('npm packages are installed when the lock file is newer than they are', async t => {
  const { home, start, log } = await aCheckout(t)
  await utimes(join(home, 'package-lock.json'), new Date(), new Date(Date.now() + 5000))
  const { status, stderr } = start(['help'])
  assert.equal(status, 0)
  assert.match(stderr, /installing npm packages/)
  assert.match(await log(), /^npm ci .*--include=dev/m)
})

test('an npm that runs no install scripts is found out, with the way to mend it', async t => {
  const { home, start } = await aCheckout(t)
  await rm(join(home, 'node_modules/.bin/node'))
  const { status, stderr } = start(['help'])
  assert.equal(status, 1)
  assert.match(stderr, /npm ci --ignore-scripts=false/)
})

test('system packages that are there cost no apt-get', async t => {
  const { start, log } = await aCheckout(t)
  assert.equal(start(['test']).status, 0)
  assert.doesNotMatch(await log(), /apt-get/)
})

test('a filter that matches no test installs nothing', async t => {
  const { home, program, start, log } = await aCheckout(t)
  await writeFile(join(home, 'packages/cli/some.test.ts'), '')
  for (const folder of ['e2e', 'images']) await mkdir(join(home, folder))
  await program('dpkg-query', 'exit 1')
  for (const args of [['nonsense'], ['--all', 'nonsense', 'node_modules']])
    assert.equal(start(['test', ...args]).status, 0)
  assert.doesNotMatch(await log(), /apt-get/)
  for (const args of [['cli/some'], ['nonsense', 'types'], ['--all']]) {
    start(['test', ...args])
    assert.match(await log(), /apt-get .* install/)
    await rm(join(home, '../log'))
  }
})

test('root gets the missing ones installed, the wished only where they are offered', async t => {
  const { program, start, log } = await aCheckout(t)
  await program('dpkg-query', 'echo installed qemu-utils; exit 1')
  await program('apt-cache', '[ "$2" = sshpass ]')
  const { status, stdout, stderr } = start(['test'])
  assert.equal(status, 0)
  assert.match(stderr, /installing system packages: qemu-system-x86 .*sshpass/)
  assert.equal(stdout.split('\n').length, 2, 'nothing of apt on standard output')
  const [install = ''] = (await log()).match(/^apt-get .* install .*$/m) ?? []
  const names = packages.filter(
    ({ part, name, isWished }) => part !== 'bench' && name !== 'qemu-utils' && (!isWished || name === 'sshpass'),
  )
  assert.deepEqual(
    install.split('recommends ')[1]?.split(' '),
    names.map(({ name }) => name),
  )
  assert.match(await log(), /tee .*createcluster\.d\/ramet\.conf\n[^]*install[^]*rm -f .*createcluster\.d\/ramet\.conf/)
})

test('who may not install is told the one line to run', async t => {
  const { program, start, log } = await aCheckout(t)
  await program('dpkg-query', 'exit 1')
  await program('id', 'echo 1000')
  await program('sudo', 'exit 1')
  const { status, stdout, stderr } = start(['demo'])
  assert.equal(status, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /Run: sudo apt-get update && sudo apt-get install -y --no-install-recommends qemu-system-x86 /)
  assert.doesNotMatch(await log(), /apt-get/)
  for (const skip of [start(['--no-install', 'demo']), start(['demo'], { env: { RAMET_NO_INSTALL: '1' } })]) {
    assert.match(skip.stdout, /"demo"/)
  }
})

test('an installation that fails shows why and leaves no setting behind', async t => {
  const { program, start, log } = await aCheckout(t)
  await program('dpkg-query', 'exit 1')
  await program('apt-get', 'echo E: no such thing; exit 100')
  const { status, stderr } = start(['test'])
  assert.equal(status, 1)
  assert.match(stderr, /E: no such thing[^]*could not be installed/)
  assert.match(await log(), /rm -f .*createcluster\.d\/ramet\.conf/)
})

test('machines run on x86_64 only', async t => {
  const { program, start } = await aCheckout(t)
  await program('uname', 'echo aarch64')
  assert.match(start(['demo']).stderr, /on x86_64 only, and this is aarch64/)
})

test('what the demo template is built with is on the list', async () => {
  const { tinyHostPackages } = await import('../../images/tiny/build.ts')
  const run = new Set(packages.filter(({ part }) => part === 'run').map(({ name }) => name))
  assert.deepEqual(
    tinyHostPackages.filter(name => !run.has(name)),
    [],
  )
})
