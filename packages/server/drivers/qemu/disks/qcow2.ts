// The qcow2 header, written and read by ourselves (docs/interop/qcow2.txt in QEMU). `qemu-img create` costs 10 ms of process
// start; an empty image is four clusters, of which only three blocks hold anything:
//
//   cluster 0 header, then the backing file's name     2 first refcount block: four clusters in use
//           1 refcount table with one entry            3 L1 table, all zero: every read goes to the backing file
//
// The rest of the file is holes. A disk of more than 4 TiB has a longer L1 table.

const magic = 0x514649fb // "QFI\xfb"
const clusterBits = 16
const clusterBytes = 2 ** clusterBits
const headerBytes = 104 // version 3 without the compression type
const backingFormatExtension = 0xe2792aca
/** One L1 entry points to an L2 table of a cluster, of 8-byte entries that each stand for a cluster. */
const bytesPerL1Entry = (clusterBytes / 8) * clusterBytes

export const sectorBytes = 512

/** What QEMU takes (QCOW_MAX_L1_SIZE). */
const mostTableBytes = 32 * 2 ** 20

export interface EmptyImage {
  /** What to write at which offset; the file has `fileBytes`, holes included. */
  readonly pieces: readonly { readonly offset: number; readonly bytes: Buffer }[]
  readonly fileBytes: number
}

/** An image that shows its backing file, or zeros where there is none. */
export function emptyImage(virtualBytes: number, backingFile: string | null): EmptyImage {
  const l1Entries = Math.ceil(virtualBytes / bytesPerL1Entry)
  const clusters = 3 + Math.max(1, Math.ceil((l1Entries * 8) / clusterBytes))
  const refcountTable = Buffer.alloc(8)
  refcountTable.writeBigUInt64BE(BigInt(2 * clusterBytes))
  const refcounts = Buffer.alloc(2 * clusters)
  for (let cluster = 0; cluster < clusters; cluster += 1) refcounts.writeUInt16BE(1, 2 * cluster)
  return {
    pieces: [
      { offset: 0, bytes: header(virtualBytes, l1Entries, backingFile) },
      { offset: clusterBytes, bytes: refcountTable },
      { offset: 2 * clusterBytes, bytes: refcounts },
    ],
    fileBytes: clusters * clusterBytes,
  }
}

function header(virtualBytes: number, l1Entries: number, backingFile: string | null): Buffer {
  const extensions = backingFile === null ? Buffer.alloc(8) : Buffer.concat([backingFormat(), Buffer.alloc(8)])
  const name = Buffer.from(backingFile ?? '')
  const start = Buffer.alloc(headerBytes)
  start.writeUInt32BE(magic, 0)
  start.writeUInt32BE(3, 4)
  start.writeBigUInt64BE(BigInt(name.length > 0 ? headerBytes + extensions.length : 0), 8)
  start.writeUInt32BE(name.length, 16)
  start.writeUInt32BE(clusterBits, 20)
  start.writeBigUInt64BE(BigInt(virtualBytes), 24)
  start.writeUInt32BE(l1Entries, 36)
  start.writeBigUInt64BE(BigInt(3 * clusterBytes), 40)
  start.writeBigUInt64BE(BigInt(clusterBytes), 48)
  start.writeUInt32BE(1, 56) // clusters of the refcount table
  start.writeUInt32BE(4, 96) // refcounts of 2^4 bits
  start.writeUInt32BE(headerBytes, 100)
  return Buffer.concat([start, extensions, name])
}

function backingFormat(): Buffer {
  const extension = Buffer.alloc(16)
  extension.writeUInt32BE(backingFormatExtension, 0)
  extension.writeUInt32BE(5, 4)
  extension.write('qcow2', 8)
  return extension
}

export interface Qcow2Header {
  readonly version: number
  readonly virtualBytes: number
  readonly hasBackingFile: boolean
  readonly encrypted: boolean
  /** The names of its incompatible features are bits of this. */
  readonly incompatible: bigint
  readonly clusterBits: number
  /** Where the tables lie that QEMU loads first, as [offset, length] in bytes. */
  readonly tables: readonly (readonly [bigint, bigint])[]
}

export const incompatibleBits = { dirty: 1n, corrupt: 2n, dataFile: 4n, compressionType: 8n, extendedL2: 16n } as const

/** The header that a file starts with; null when it is no qcow2. */
export function readHeader(start: Buffer): Qcow2Header | null {
  if (start.length < headerBytes || start.readUInt32BE(0) !== magic) return null
  const version = start.readUInt32BE(4)
  const bits = start.readUInt32BE(20)
  return {
    version,
    virtualBytes: Number(start.readBigUInt64BE(24)),
    hasBackingFile: start.readBigUInt64BE(8) !== 0n || start.readUInt32BE(16) !== 0,
    encrypted: start.readUInt32BE(32) !== 0,
    incompatible: version >= 3 ? start.readBigUInt64BE(72) : 0n,
    clusterBits: bits,
    tables: [
      [start.readBigUInt64BE(40), BigInt(start.readUInt32BE(36)) * 8n],
      [start.readBigUInt64BE(48), BigInt(start.readUInt32BE(56)) << BigInt(Math.min(bits, 63))],
    ],
  }
}

/** Where the topmost table (L1) of an image like ours lies, which is all zero while nobody wrote the image; null: no image like ours. */
export function emptyTable(start: Buffer): { offset: number; bytes: number } | null {
  const read = readHeader(start)
  const [table] = read?.tables ?? []
  if (!read || !table || read.clusterBits !== clusterBits || read.incompatible !== 0n) return null
  const [offset, bytes] = [Number(table[0]), Number(table[1])]
  const isWhole = bytes >= 8 * Math.ceil(read.virtualBytes / bytesPerL1Entry)
  return isWhole && bytes <= mostTableBytes && Number.isSafeInteger(offset) ? { offset, bytes } : null
}
