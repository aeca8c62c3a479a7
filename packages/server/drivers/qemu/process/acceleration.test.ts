import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { bootFails, chooseAccelerator } from './acceleration.ts'
import { quietLog } from '../a-driver.ts'
import { findInstalled } from '../host.ts'
import { defaultUidBase } from '../options.ts'
import { privilegesOf } from './privileges.ts'

const { stranger } = privilegesOf(defaultUidBase, process.getuid?.() ?? 0)

test('the trial guest boots under TCG, as a user without rights', async () => {
  assert.equal(await bootFails('tcg', await findInstalled(), stranger), null)
})

test('the choice is what the trial guest says of this KVM, is made in seconds, and is remembered', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ramet-a-'))
  try {
    const runDirectory = join(folder, 'vms')
    await mkdir(runDirectory)
    const installed = await findInstalled()
    const choose = () => chooseAccelerator({ acceleration: 'auto', runDirectory, log: quietLog }, installed, stranger)
    const since = Date.now()
    const chosen = await choose()
    assert.ok(Date.now() - since < 5000)
    const device = await stat('/dev/kvm').catch(() => null)
    if (!device) assert.equal(chosen, 'tcg')
    const before = await readFile(join(folder, 'acceleration.json'), 'utf8')
    assert.equal(await choose(), chosen)
    assert.equal(await readFile(join(folder, 'acceleration.json'), 'utf8'), before)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('who says which accelerator gets that one, unproved', async () => {
  const options = { runDirectory: '/nowhere/vms', log: quietLog }
  const installed = await findInstalled()
  for (const acceleration of ['kvm', 'tcg'] as const)
    assert.equal(await chooseAccelerator({ ...options, acceleration }, installed, null), acceleration)
})
