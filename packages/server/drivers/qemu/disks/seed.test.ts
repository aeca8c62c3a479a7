// The seed volume as other programs see it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { isoVolume } from './iso9660.ts'
import { seedVolume } from './seed.ts'

const run = promisify(execFile)
const hasIsoinfo = await run('isoinfo', ['--version']).then(
  () => true,
  () => false,
)
const firstBoot = {
  instanceId: 'i-1',
  hostname: 'web-1',
  sshKeys: ['ssh-ed25519 KEY me'],
  passwordHash: '$6$a$b',
  userData: null,
}

async function withVolume(volume: Uint8Array, use: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ramet-s-'))
  const file = join(folder, 'seed.iso')
  await writeFile(file, volume)
  try {
    await use(file)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('isoinfo finds the label, the names and the files', { skip: !hasIsoinfo }, async () => {
  await withVolume(seedVolume(firstBoot), async file => {
    const info = (await run('isoinfo', ['-d', '-i', file])).stdout
    assert.match(info, /Volume id: cidata/)
    assert.match(info, /Rock Ridge signatures version 1 found/)
    const names = (await run('isoinfo', ['-R', '-f', '-i', file])).stdout.trim().split('\n')
    assert.deepEqual(names.sort(), ['/meta-data', '/user-data'])
    const meta = JSON.parse((await run('isoinfo', ['-R', '-x', '/meta-data', '-i', file])).stdout)
    assert.deepEqual(meta, { 'instance-id': 'i-1', 'local-hostname': 'web-1', 'public-keys': ['ssh-ed25519 KEY me'] })
    const data = (await run('isoinfo', ['-R', '-x', '/user-data', '-i', file])).stdout
    assert.match(data, /^#cloud-config\n/)
    assert.equal(JSON.parse(data.split('\n')[1] ?? '').password, '$6$a$b')
  })
})

test('blkid knows it by the label that cloud-init looks for', async () => {
  await withVolume(seedVolume(firstBoot), async file => {
    const { stdout } = await run('/usr/sbin/blkid', ['-p', '-o', 'export', file])
    assert.match(stdout, /^LABEL=cidata$/m)
    assert.match(stdout, /^TYPE=iso9660$/m)
  })
})

test("the user's own data is untouched, and ours stands beside it", { skip: !hasIsoinfo }, async () => {
  const userData = Buffer.from([0x1f, 0x8b, 0, 255, 10])
  await withVolume(seedVolume({ ...firstBoot, userData }), async file => {
    const { stdout } = await run('isoinfo', ['-R', '-x', '/user-data', '-i', file], { encoding: 'buffer' })
    assert.deepEqual(stdout, userData)
    assert.match((await run('isoinfo', ['-R', '-x', '/vendor-data', '-i', file])).stdout, /ssh_authorized_keys/)
  })
})

test('files of any size lie one behind the other', { skip: !hasIsoinfo }, async () => {
  const sizes = [0, 1, 2047, 2048, 2049, 100_000]
  const files = sizes.map(size => ({ name: `file-${size}`, bytes: Buffer.alloc(size, String(size)) }))
  await withVolume(isoVolume('sizes', files), async file => {
    for (const { name, bytes } of files) {
      const { stdout } = await run('isoinfo', ['-R', '-x', `/${name}`, '-i', file], { encoding: 'buffer' })
      assert.deepEqual(stdout, bytes)
    }
  })
})

test('the same seed is the same bytes', () => {
  assert.deepEqual(seedVolume(firstBoot), seedVolume(firstBoot))
})
