// Whether a machine's memory is a file of its own that QEMU writes: of one that booted it is, and of one that went on from a memory
// image it is not, for that is mapped privately.
import type { Machine } from '../machines/machine.ts'

export async function ownMemory(machine: Machine): Promise<boolean> {
  const qmp = await machine.monitor()
  const ask = (property: string) => qmp.execute('qom-get', { path: '/objects/ram', property })
  const [share, path] = [await ask('share'), await ask('mem-path')]
  return share === true && path === machine.found.folder.ram
}
