import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { dropRamFile, makeRamFile, memoryForGuests } from './ram.ts'

const gib = 2 ** 30

test('the host keeps a share of its memory, and guests get no more than their tmpfs holds', () => {
  assert.equal(memoryForGuests(100 * gib, 100 * gib), 95 * gib)
  assert.equal(memoryForGuests(2 * gib, 2 * gib), 1.5 * gib)
  assert.equal(memoryForGuests(100 * gib, 50 * gib), 50 * gib)
  assert.equal(memoryForGuests(gib / 4, gib), 0)
})

const skip = process.getuid?.() !== 0 && 'only root can mount a small file system'

test('memory that was promised to a machine is not promised again, touched or not', { skip }, async () => {
  const mount = await mkdtemp(join(tmpdir(), 'ramet-ram-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', mount])
  const file = (name: string) => join(mount, 'ram', `${name}.ram`)
  try {
    const atOnce = await Promise.allSettled(['a', 'b'].map(name => makeRamFile(file(name), 40, null)))
    assert.deepEqual(
      atOnce.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    )
    await assert.rejects(makeRamFile(file('b'), 40, null), { kind: 'no-capacity', code: 'memory-full' })
    await makeRamFile(file('b'), 20, null)
    await makeRamFile(file('a'), 40, null) // what it had itself is no hindrance
    await writeFile(file('a'), Buffer.alloc(8 * 2 ** 20, 1), { flag: 'r+' })
    await assert.rejects(makeRamFile(file('c'), 8, null), { code: 'memory-full' })
    await dropRamFile(file('a'))
    await makeRamFile(file('c'), 40, null)
  } finally {
    execFileSync('umount', [mount])
    await rm(mount, { recursive: true })
  }
})
