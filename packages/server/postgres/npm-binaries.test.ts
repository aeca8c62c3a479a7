import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { accountForNewCluster, as, isRoot, run } from './account.ts'
import { npmPackage } from './installation.ts'
import { usableBinaries } from './npm-binaries.ts'
import { scratchDirectory } from './testing/lab.ts'

const carried = await npmPackage()
const skip = carried ? false : 'no PostgreSQL from npm here'
let directory: string
let remove: () => Promise<void>
before(async () => ({ directory, remove } = await scratchDirectory()))
after(() => remove())

test('binaries without their links, where PostgreSQL may not look, are copied once and work', { skip }, async () => {
  const { root, version } = carried ?? assert.fail()
  const broken = { root: join(directory, 'locked/native'), version }
  await mkdir(dirname(broken.root), { mode: 0o700 })
  await cp(root, broken.root, { recursive: true, verbatimSymlinks: true })
  const links = JSON.parse(await readFile(join(root, 'pg-symlinks.json'), 'utf8')) as { target: string }[]
  for (const { target } of links) await rm(join(dirname(broken.root), target))

  const data = join(directory, 'data')
  await mkdir(data, { mode: 0o711 })
  await mkdir(join(data, `postgres-binaries-${Number.parseInt(version)}.0.0`))
  if (isRoot) await run({ program: 'chmod', arguments: ['711', directory] })
  const account = await accountForNewCluster()
  const bin = await usableBinaries(broken, account, data)
  assert.match(await run(as(account, 'KILL', join(bin, 'postgres'), ['--version'])), /PostgreSQL/)
  assert.deepEqual(await readdir(data), [`postgres-binaries-${version}`]) // whole, and the older copy is gone
  assert.equal(await usableBinaries(broken, account, data), bin)
})
