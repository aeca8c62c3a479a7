// The guest of the crash lab: a boot sector that lets go of every device which is to be unplugged, and sleeps. Without it each instant
// clone would wait for a guest that keeps the network cards of its source.
//
//   next:  [0CD0h] = bus; eax = [0CC4h]              what is asked for, as bits: QEMU's docs/specs/acpi_pci_hotplug
//          if any, [0CC8h] = eax                     ejected, the lowest of them
//          bus = (bus + 1) & 3Fh; until 0, next
//          sti; hlt; next                            until the timer of the BIOS ticks
import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const program = '31dbbad00c660fb7c366efbac40c66ed6685c07405bac80c66ef4380e33f75e2fbf4ebde'
const bytes = 64 * 2 ** 20

/** A qcow2 image that boots it. */
export async function makeImage(path: string): Promise<void> {
  const sector = Buffer.alloc(512)
  sector.write(program, 'hex')
  sector.set([0x55, 0xaa], 510)
  await writeFile(`${path}.raw`, sector)
  const run = promisify(execFile)
  await run('qemu-img', ['resize', '-q', '-f', 'raw', `${path}.raw`, String(bytes)])
  await run('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', `${path}.raw`, path])
  await rm(`${path}.raw`)
}
