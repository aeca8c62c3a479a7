// QEMU's migration stream, taken apart while it comes (migration/savevm.c, migration/ram.c of QEMU): pages of the guest's main
// memory go where the caller puts them, and all the rest is kept as it is. What is kept is a whole stream again, one in which
// no page of the main memory is sent: a QEMU that has that memory from elsewhere loads it.
//
//   "QEVM" 3 · configuration · section ram: block list, EOS · parts: pages, EOS · end: pages, EOS · devices … (never looked into)
//
// A sender with the capability x-ignore-shared leaves the pages of shared memory out, and says so: in the configuration, and by an address
// with each block. Both are dropped, so that whoever loads the stream needs to know nothing of it.
//
// A page is sent again each time the guest wrote it meanwhile, so the last word about a page counts. The sender may have been taken over
// by its guest: everything is bounded, and what is not understood is an error.

export const pageBytes = 4096

export interface MemorySink {
  /** `bytes` is only valid during the call. */
  page(offset: number, bytes: Buffer): void
  /** The page holds zeros. */
  zero(offset: number): void
  /** The next piece of what is kept; only valid during the call. */
  keep(bytes: Buffer): void
}

const magic = 0x5145564d // "QEVM"
const version = 3
const sections = { end: 0, start: 1, part: 2, last: 3, full: 4, configuration: 7, footer: 0x7e } as const
const subsection = 5
const flags = { zero: 0x02, list: 0x04, page: 0x08, endOfSection: 0x10, sameBlock: 0x20 } as const

/** Some ten blocks have names of some ten bytes. */
const longestList = 64 * 1024

export class MigrationStreamError extends Error {}

/** Says how many bytes it took, or null when it needs more to go on. */
type Step = (bytes: Buffer, at: number) => number | null

export class MigrationStream {
  readonly #sink: MemorySink
  readonly #block: string
  readonly #memoryBytes: number
  #rest = Buffer.alloc(0)
  #step: Step
  #ramSection: number | null = null
  #isMain = false
  #leavesShared = false
  #ended = false

  /** `block`: what the main memory is called in the stream. */
  constructor(block: string, memoryBytes: number, sink: MemorySink) {
    this.#block = block
    this.#memoryBytes = memoryBytes
    this.#sink = sink
    this.#step = this.#header
  }

  /** True once all memory came, and devices began. */
  get complete(): boolean {
    return this.#step === this.#devices
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      const taken = this.#step(bytes, at)
      if (taken === null) break
      at += taken
    }
    this.#rest = Buffer.from(bytes.subarray(at)) // a copy: the chunk is the socket's
  }

  readonly #header: Step = (bytes, at) => {
    if (bytes.length - at < 8) return null
    if (bytes.readUInt32BE(at) !== magic || bytes.readUInt32BE(at + 4) !== version)
      throw new MigrationStreamError('it does not begin like one')
    this.#step = this.#section
    return this.#keep(bytes, at, 8)
  }

  readonly #section: Step = (bytes, at) => {
    if (bytes.length - at < 5) return null
    const type = bytes[at]
    const number = bytes.readUInt32BE(at + 1)
    if (type === sections.configuration) {
      if (number > 1024) throw new MigrationStreamError('its configuration has no end')
      return bytes.length - at < 5 + number ? null : this.#keep(bytes, at, 5 + number)
    }
    if (type === subsection) return this.#capabilities(bytes, at)
    if (type === sections.start) return this.#sectionStart(bytes, at, number)
    if ((type === sections.part || type === sections.last) && number === this.#ramSection && !this.#ended) {
      this.#step = this.#record
      this.#ended = type === sections.last
      return this.#keep(bytes, at, 5)
    }
    if (type !== sections.full || !this.#ended)
      throw new MigrationStreamError(`a section of kind ${type} comes too early`)
    this.#step = this.#devices
    return 0
  }

  /** Part of the configuration: what the sender demands of the receiver. */
  #capabilities(bytes: Buffer, at: number): number | null {
    const name = nameAt(bytes, at + 1)
    if (name === null || bytes.length - at < 2 + name.length + 8) return null
    const from = at + 2 + name.length
    const only = nameAt(bytes, from + 8)
    if (only === null) return null
    if (name !== 'configuration/capabilities' || bytes.readUInt32BE(from + 4) !== 1 || only !== 'x-ignore-shared')
      throw new MigrationStreamError(`it demands "${name}" with "${only}"`)
    this.#leavesShared = true
    return from + 8 + 1 + only.length - at
  }

  #sectionStart(bytes: Buffer, at: number, number: number): number | null {
    const name = nameAt(bytes, at + 5)
    if (name === null || bytes.length - at < 5 + 1 + name.length + 8) return null
    if (name !== 'ram' || this.#ramSection !== null)
      throw new MigrationStreamError(`it has a live section "${name}" that is not memory`)
    this.#ramSection = number
    this.#step = this.#record
    return this.#keep(bytes, at, 5 + 1 + name.length + 8)
  }

  readonly #record: Step = (bytes, at) => {
    if (bytes.length - at < 8) return null
    const low = bytes.readUInt32BE(at + 4)
    const kind = low & (pageBytes - 1)
    const offset = bytes.readUInt32BE(at) * 2 ** 32 + (low - kind)
    if (kind === flags.endOfSection) {
      this.#step = this.#footer
      return this.#keep(bytes, at, 8)
    }
    if (kind === flags.list) return this.#blockList(bytes, at, offset)
    const isZero = (kind & ~flags.sameBlock) === flags.zero
    if (!isZero && (kind & ~flags.sameBlock) !== flags.page)
      throw new MigrationStreamError(`a record has the flags 0x${kind.toString(16)}`)
    return this.#page(bytes, at, offset, isZero, (kind & flags.sameBlock) !== 0)
  }

  #page(bytes: Buffer, at: number, offset: number, isZero: boolean, isSameBlock: boolean): number | null {
    const name = isSameBlock ? '' : nameAt(bytes, at + 8)
    if (name === null) return null
    const head = 8 + (isSameBlock ? 0 : 1 + name.length)
    const length = head + (isZero ? 1 : pageBytes)
    if (bytes.length - at < length) return null
    if (!isSameBlock) this.#isMain = name === this.#block
    if (!this.#isMain) return this.#keep(bytes, at, length)
    if (offset + pageBytes > this.#memoryBytes) throw new MigrationStreamError('a page lies outside the memory')
    if (!isZero) this.#sink.page(offset, bytes.subarray(at + head, at + length))
    else if (bytes[at + head] === 0) this.#sink.zero(offset)
    else this.#sink.page(offset, Buffer.alloc(pageBytes, bytes[at + head]))
    return length
  }

  /** Names and sizes of all blocks; the main memory must be there, with its size. */
  #blockList(bytes: Buffer, at: number, total: number): number | null {
    let end = at + 8
    let found = false
    const kept = [[at, end]]
    const place = this.#leavesShared ? 8 : 0
    for (let sum = 0; sum < total; ) {
      if (end - at > longestList) throw new MigrationStreamError('its list of blocks has no end')
      const name = nameAt(bytes, end)
      if (name === null || bytes.length < end + 1 + name.length + 8 + place) return null
      const size = Number(bytes.readBigUInt64BE(end + 1 + name.length))
      if (size === 0) throw new MigrationStreamError(`the block "${name}" is empty`)
      if (name === this.#block) found = size === this.#memoryBytes
      sum += size
      kept.push([end, end + 1 + name.length + 8])
      end += 1 + name.length + 8 + place
    }
    if (!found) throw new MigrationStreamError(`it has no block "${this.#block}" of ${this.#memoryBytes} bytes`)
    for (const [from = 0, to = 0] of kept) this.#keep(bytes, from, to - from)
    return end - at
  }

  readonly #footer: Step = (bytes, at) => {
    if (bytes.length - at < 5) return null
    if (bytes[at] !== sections.footer || bytes.readUInt32BE(at + 1) !== this.#ramSection)
      throw new MigrationStreamError('a section ends without its footer')
    this.#step = this.#section
    return this.#keep(bytes, at, 5)
  }

  readonly #devices: Step = (bytes, at) => (at === bytes.length ? null : this.#keep(bytes, at, bytes.length - at))

  #keep(bytes: Buffer, at: number, length: number): number {
    this.#sink.keep(bytes.subarray(at, at + length))
    return length
  }
}

/** A name with its length in one byte before it; null when it is not there whole. */
function nameAt(bytes: Buffer, at: number): string | null {
  const length = bytes[at]
  if (length === undefined || bytes.length < at + 1 + length) return null
  return bytes.toString('latin1', at + 1, at + 1 + length)
}
