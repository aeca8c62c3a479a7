// Image files that strangers might bring, each with what is wrong with it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { open, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { ImageFacts } from '../../driver.ts'
import { bootableCd } from '../../../testing/boot-cd.ts'
import { aQemuDriver } from '../a-driver.ts'
import type { QemuUnderTest } from '../a-driver.ts'

const run = promisify(execFile)
const gib = 2 ** 30

function withBytes(bytes: Buffer, offset: number, hex: string): Buffer {
  const copy = Buffer.from(bytes)
  copy.write(hex, offset, 'hex')
  return copy
}

describe('inspection of images', () => {
  let made: QemuUnderTest
  const at = (name: string) => join(made.folder, name)
  /** For a key of LUKS, qemu-img measures the processor, and gives up where others are at work on it. */
  const img = async (...args: string[]) => {
    for (let left = 20; ; left--)
      try {
        return await run('qemu-img', args)
      } catch (error) {
        if (left === 0 || !/accurate CPU usage/.test(String(error))) throw error
      }
  }
  const inspect = (name: string, format: ImageFacts['format']) =>
    made.driver.images.inspect(at(name), format, 100 * gib)

  before(async () => {
    made = await aQemuDriver()
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', at('good.qcow2'), '64M'])
    await run('qemu-io', ['-c', 'write -P 5 0 8M', at('good.qcow2')])
  })
  after(() => made.dispose())

  for (const format of ['qcow2', 'raw', 'vmdk', 'vhdx'] as const) {
    test(`a sound ${format} is accepted`, async () => {
      await img('convert', '-O', format, at('good.qcow2'), at(`sound.${format}`))
      const facts = await inspect(`sound.${format}`, format)
      assert.deepEqual([facts.format, facts.virtualBytes], [format, 64 * 2 ** 20])
    })
  }

  test('a stream-optimised VMDK, as in an OVA, is accepted', async () => {
    await img('convert', '-O', 'vmdk', '-o', 'subformat=streamOptimized', at('good.qcow2'), at('stream.vmdk'))
    assert.equal((await inspect('stream.vmdk', 'vmdk')).format, 'vmdk')
  })

  const cd = bootableCd('a CD')
  const cds: readonly (readonly [what: string, bytes: Buffer, code: string | null])[] = [
    ['a sound CD', cd, null],
    ['a CD that also serves as a disk', withBytes(cd, 510, '55aa'), null],
    ['a CD whose beginning looks like qcow2', withBytes(cd, 0, '514649fb00000003'), null],
    ['a CD that is cut off', cd.subarray(0, cd.length - 2048), 'image-truncated'],
    ['a CD cut off within its descriptors', cd.subarray(0, 17 * 2048 + 100), 'image-truncated'],
    ['a file of zeros', Buffer.alloc(2 ** 20), 'image-wrong-format'],
    ['a web page', Buffer.from(`<!doctype html>${' '.repeat(40_000)}`), 'image-wrong-format'],
    ['nothing', Buffer.alloc(0), 'image-wrong-format'],
  ]
  for (const [what, bytes, code] of cds)
    test(`of CD images, ${what} is ${code ? 'refused' : 'accepted'}`, async () => {
      await writeFile(at('cd.iso'), bytes)
      if (code) await assert.rejects(inspect('cd.iso', 'iso'), { kind: 'invalid', code })
      else assert.deepEqual((await inspect('cd.iso', 'iso')).virtualBytes, bytes.length)
    })

  test('a CD larger than allowed is refused', async () => {
    await writeFile(at('cd.iso'), cd)
    await assert.rejects(made.driver.images.inspect(at('cd.iso'), 'iso', 1000), { code: 'image-too-large' })
  })

  test('an image that only its owner may read is inspected', async () => {
    await img('convert', '-O', 'qcow2', at('good.qcow2'), at('private.qcow2'))
    await run('chmod', ['600', at('private.qcow2')])
    assert.equal((await inspect('private.qcow2', 'qcow2')).format, 'qcow2')
    assert.equal((await stat(at('private.qcow2'))).mode & 0o007, 0)
  })

  const header = async (name: string, offset: number, bytes: Buffer) => {
    await img('convert', '-O', 'qcow2', at('good.qcow2'), at(name))
    const file = await open(at(name), 'r+')
    await file.write(bytes, 0, bytes.length, offset)
    await file.close()
  }
  const descriptor = (extent: string, type: string) =>
    `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="${type}"\n${extent}\n`

  const zoo: readonly (readonly [
    what: string,
    format: ImageFacts['format'],
    code: string,
    make: (name: string) => Promise<unknown>,
  ])[] = [
    [
      'a backing file',
      'qcow2',
      'image-has-backing-file',
      name => img('create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', at('good.qcow2'), at(name)),
    ],
    [
      'a secret of the host as backing file',
      'qcow2',
      'image-has-backing-file',
      name => img('create', '-q', '-u', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/shadow', at(name), '1M'),
    ],
    [
      'a backing file in JSON',
      'qcow2',
      'image-has-backing-file',
      name =>
        img(
          'create',
          '-q',
          '-u',
          '-f',
          'qcow2',
          '-F',
          'raw',
          '-b',
          'json:{"driver":"file","filename":"/etc/shadow"}',
          at(name),
          '1M',
        ),
    ],
    [
      'an external data file',
      'qcow2',
      'image-has-data-file',
      name => img('create', '-q', '-f', 'qcow2', '-o', `data_file=${at('data')}`, at(name), '1M'),
    ],
    [
      'encryption',
      'qcow2',
      'image-encrypted',
      name =>
        img(
          'create',
          '-q',
          '-f',
          'qcow2',
          '--object',
          'secret,id=s,data=abc',
          '-o',
          'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
          at(name),
          '1M',
        ),
    ],
    [
      'LUKS',
      'raw',
      'image-encrypted',
      name =>
        img(
          'create',
          '-q',
          '-f',
          'luks',
          '--object',
          'secret,id=s,data=abc',
          '-o',
          'key-secret=s,iter-time=10',
          at(name),
          '1M',
        ),
    ],
    [
      'a virtual size of 16 TiB',
      'qcow2',
      'image-too-large',
      name => img('create', '-q', '-f', 'qcow2', at(name), '16T'),
    ],
    [
      'an absurd size in its header',
      'qcow2',
      'image-damaged',
      name => header(name, 24, Buffer.from('7fffffffffffff00', 'hex')),
    ],
    [
      'a table beyond the end',
      'qcow2',
      'image-truncated',
      name => header(name, 40, Buffer.from('0000700000000000', 'hex')),
    ],
    [
      'an unknown feature',
      'qcow2',
      'image-unsupported',
      name => header(name, 72, Buffer.from('0000000000000100', 'hex')),
    ],
    ['the mark of damage', 'qcow2', 'image-damaged', name => header(name, 72, Buffer.from('0000000000000002', 'hex'))],
    [
      'its end cut off',
      'qcow2',
      'image-damaged',
      async name => (
        await img('convert', '-O', 'qcow2', at('good.qcow2'), at(name)), await truncate(at(name), 4 * 2 ** 20)
      ),
    ],
    [
      'only its first sectors',
      'qcow2',
      'image-truncated',
      async name => (await img('convert', '-O', 'qcow2', at('good.qcow2'), at(name)), await truncate(at(name), 4096)),
    ],
    [
      'another format than said',
      'vhdx',
      'image-wrong-format',
      name => img('convert', '-O', 'qcow2', at('good.qcow2'), at(name)),
    ],
    [
      'a qcow2 that is called raw',
      'raw',
      'image-wrong-format',
      name => img('create', '-q', '-u', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/shadow', at(name), '1M'),
    ],
    ['a web page', 'raw', 'image-wrong-format', name => writeFile(at(name), `<!DOCTYPE html>${' '.repeat(1000)}`)],
    [
      'gzip around it',
      'raw',
      'image-wrong-format',
      name => writeFile(at(name), Buffer.from([0x1f, 0x8b, ...Buffer.alloc(1000)])),
    ],
    ['nothing in it', 'raw', 'image-empty', name => writeFile(at(name), '')],
    [
      'a VMDK description of a secret of the host',
      'vmdk',
      'image-has-data-file',
      name => writeFile(at(name), descriptor('RW 20480 FLAT "/etc/passwd" 0', 'monolithicFlat') + ' '.repeat(512)),
    ],
    [
      'a sparse VMDK with such a description inside',
      'vmdk',
      'image-has-data-file',
      async name => writeFile(at(name), await trojanVmdk()),
    ],
    [
      'a VMDK that stands on another',
      'vmdk',
      'image-has-backing-file',
      async name => {
        await img('convert', '-O', 'vmdk', at('good.qcow2'), at('parent.vmdk'))
        await img('create', '-q', '-f', 'vmdk', '-F', 'vmdk', '-b', at('parent.vmdk'), at(name))
      },
    ],
    ['a damaged VHDX', 'vhdx', 'image-damaged', name => writeFile(at(name), `vhdxfile${' '.repeat(4096)}`)],
  ]

  /** A sparse header with capacity 0, which makes QEMU 7.2 open what the embedded description names. */
  async function trojanVmdk(): Promise<Buffer> {
    const bytes = Buffer.alloc(21 * 512)
    bytes.write('KDMV\x01\0\0\0', 0, 'latin1')
    bytes.writeBigUInt64LE(1n, 28)
    bytes.writeBigUInt64LE(20n, 36)
    bytes.write(descriptor('RW 20480 FLAT "/etc/passwd" 0', 'monolithicFlat'), 512)
    return bytes
  }

  for (const [what, format, code, make] of zoo) {
    test(`an image with ${what} is refused as ${code}`, async () => {
      const name = what.replaceAll(/\W+/g, '-')
      await make(name)
      await assert.rejects(inspect(name, format), (error: { kind?: string; code?: string; message?: string }) => {
        assert.deepEqual([error.kind, error.code], ['invalid', code], error.message)
        assert.doesNotMatch(error.message ?? '', /root:|\/proc\/self|json:/)
        return true
      })
    })
  }

  test('a device or a folder is no image', async () => {
    await assert.rejects(made.driver.images.inspect('/dev/zero', 'raw', gib), { code: 'image-not-a-file' })
  })
})
