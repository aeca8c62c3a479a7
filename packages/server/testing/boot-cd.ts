// A CD image that boots: an ISO 9660 volume with an El Torito boot loader, which writes a line to the serial port and rests. It
// shows that a machine's firmware ran what is on the CD, and costs no more than the firmware does.
import { type IsoFile, isoVolume } from '../drivers/qemu/disks/iso9660.ts'

const sectorBytes = 2048

// At 0000:7C00. si = message; for each byte: wait until bit 5 of 3FDh (ready to send), out 3F8h; then hlt for ever.
const loader = '31c08ed8be227cfcac84c0741288c4bafd03eca82074fb88e0baf803eeebe9f4ebfd'

export function bootableCd(line: string, files: readonly IsoFile[] = []): Buffer {
  const volume = isoVolume('boots', files)
  const catalogue = volume.length / sectorBytes
  const all = Buffer.concat([volume, Buffer.alloc(2 * sectorBytes)])
  all.writeUInt32LE(catalogue + 2, 16 * sectorBytes + 80) // its size, in both byte orders
  all.writeUInt32BE(catalogue + 2, 16 * sectorBytes + 84)
  all.set(bootRecord(catalogue), 17 * sectorBytes)
  all.write('\xffCD001\x01', 18 * sectorBytes, 'latin1') // over a path table, which nobody reads here
  all.set(bootCatalogue(catalogue + 1), catalogue * sectorBytes)
  all.write(loader, (catalogue + 1) * sectorBytes, 'hex')
  all.write(`${line}\r\n\0`, (catalogue + 1) * sectorBytes + loader.length / 2, 'latin1')
  return all
}

function bootRecord(catalogue: number): Buffer {
  const bytes = Buffer.alloc(sectorBytes)
  bytes.write('\x00CD001\x01EL TORITO SPECIFICATION', 0, 'latin1')
  bytes.writeUInt32LE(catalogue, 0x47)
  return bytes
}

/** One entry to validate the catalogue, whose words add up to zero, and one for a loader without emulation of a floppy. */
function bootCatalogue(image: number): Buffer {
  const bytes = Buffer.alloc(64)
  bytes[0] = 1
  bytes.set([0x55, 0xaa], 30)
  let sum = 0
  for (let offset = 0; offset < 32; offset += 2) sum += bytes.readUInt16LE(offset)
  bytes.writeUInt16LE((0x1_0000 - (sum & 0xffff)) & 0xffff, 28)
  bytes[32] = 0x88
  bytes.writeUInt16LE(4, 38) // sectors of 512 bytes
  bytes.writeUInt32LE(image, 40)
  return bytes
}
