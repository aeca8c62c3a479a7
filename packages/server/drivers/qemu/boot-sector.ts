// The smallest guest that proves an accelerator: a boot sector that ends QEMU through its isa-debug-exit device.

/** QEMU's exit code is the written byte times two plus one. */
const written = 0x11
export const probeExitCode = written * 2 + 1
export const probePort = 0xf4

/** mov al, 0x11 / out 0xf4, al / hlt / jmp back. 1 MiB, because firmware wants to read whole tracks. */
export function bootDisk(): Buffer {
  const disk = Buffer.alloc(2 ** 20)
  disk.set([0xb0, written, 0xe6, probePort, 0xf4, 0xeb, 0xfd])
  disk.set([0x55, 0xaa], 510)
  return disk
}
