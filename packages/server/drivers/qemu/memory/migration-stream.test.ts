// The reader of QEMU's migration stream, on streams made here: whole, in pieces, and broken.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MigrationStream, MigrationStreamError, pageBytes } from './migration-stream.ts'

const memoryBytes = 4 * pageBytes
const blocks: [string, number][] = [
  ['ram', memoryBytes],
  ['vga.vram', 2 * pageBytes],
]

describe('a migration stream', () => {
  test('gives its pages, the last word of each, and keeps the rest as a stream without them', () => {
    const bytes = aStream([page(0, 'a'), zero(1), screen('s'), page(2, 'b'), page(2, 'c', true)])
    const { memory, kept, complete } = readOf([bytes])
    assert.deepEqual(memory, { 0: 'a', 1: '', 2: 'c' })
    assert.deepEqual(kept, aStream([screen('s')]))
    assert.ok(complete)
  })

  test('is the same in whatever pieces it comes', () => {
    const bytes = aStream([page(0, 'a'), screen('s'), screen('t', true), zero(3), page(2, 'b')])
    const whole = readOf([bytes])
    for (const size of [1, 7, 4096, 4105]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      )
      assert.deepEqual(readOf(pieces), whole)
    }
  })

  test('what was kept of it can be read again, and has no page', () => {
    const { kept } = readOf([aStream([page(0, 'a'), screen('s')])])
    const again = readOf([kept])
    assert.deepEqual([again.memory, again.kept], [{}, kept])
  })

  test('that was cut off is not complete', () => {
    const bytes = aStream([page(0, 'a')])
    assert.equal(readOf([bytes.subarray(0, bytes.length - 60)]).complete, false)
  })

  const broken: Record<string, Buffer> = {
    'of something else': Buffer.from('not a stream at all'),
    'with a page outside the memory': aStream([page(4, 'x')]),
    'with unknown flags': aStream([record(0x40, 0, 'ram')]),
    'with another live section': Buffer.concat([head(), section(1, 3, 'block')]),
    'with devices before the memory': Buffer.concat([head(), section(4, 3, 'timer')]),
    'of a machine with other memory': Buffer.concat([head(), section(1, 2, 'ram'), list([['ram', 8 * pageBytes]])]),
    'whose list of blocks has no end': Buffer.concat([
      head(),
      section(1, 2, 'ram'),
      word(2 ** 40, 4),
      ...Array.from({ length: 9000 }, () => Buffer.concat([name('x'), big(1)])),
    ]),
    'without footer': Buffer.concat([head(), section(1, 2, 'ram'), list(blocks), word(0, 0x10), Buffer.from('12345')]),
  }
  for (const [what, bytes] of Object.entries(broken))
    test(`${what} is refused`, () => assert.throws(() => readOf([bytes]), MigrationStreamError))
})

function readOf(pieces: readonly Buffer[]) {
  const memory: Record<number, string> = {}
  const kept: Buffer[] = []
  const stream = new MigrationStream('ram', memoryBytes, {
    page: (offset, bytes) => void (memory[offset / pageBytes] = bytes.toString('latin1', 0, 1)),
    zero: offset => void (memory[offset / pageBytes] = ''),
    keep: bytes => void kept.push(Buffer.from(bytes)),
  })
  for (const piece of pieces) stream.push(piece)
  return { memory, kept: Buffer.concat(kept), complete: stream.complete }
}

/** Half of the records before the end, in a part of their own. */
function aStream(records: readonly Buffer[]): Buffer {
  const footer = Buffer.concat([Buffer.from([0x7e]), int(2)])
  const begin = Buffer.concat([section(1, 2, 'ram'), list(blocks), word(0, 0x10), footer])
  const part = Buffer.concat([Buffer.from([2]), int(2), ...records, word(0, 0x10), footer])
  const end = Buffer.concat([Buffer.from([3]), int(2), word(0, 0x10), footer])
  return Buffer.concat([head(), begin, part, end, section(4, 3, 'timer'), Buffer.from('state of devices\0{}')])
}

function head(): Buffer {
  const type = Buffer.from('pc-q35-7.2')
  return Buffer.concat([Buffer.from('QEVM'), int(3), Buffer.from([7]), int(type.length), type])
}

function section(kind: number, id: number, of: string): Buffer {
  return Buffer.concat([Buffer.from([kind]), int(id), name(of), int(0), int(4)])
}

function list(entries: readonly [string, number][]): Buffer {
  const total = entries.reduce((sum, [, size]) => sum + size, 0)
  return Buffer.concat([word(total, 4), ...entries.flatMap(([of, size]) => [name(of), big(size)])])
}

function page(index: number, letter: string, same = false): Buffer {
  return Buffer.concat([record(8, index, same ? null : 'ram'), Buffer.alloc(pageBytes, letter)])
}

function zero(index: number): Buffer {
  return Buffer.concat([record(2, index, 'ram'), Buffer.alloc(1)])
}

function screen(letter: string, same = false): Buffer {
  return Buffer.concat([record(8, 1, same ? null : 'vga.vram'), Buffer.alloc(pageBytes, letter)])
}

function record(flags: number, index: number, block: string | null): Buffer {
  const at = word(index * pageBytes, flags | (block === null ? 0x20 : 0))
  return block === null ? at : Buffer.concat([at, name(block)])
}

function name(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
}

function word(value: number, flags: number): Buffer {
  return big(value + flags)
}

function big(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
