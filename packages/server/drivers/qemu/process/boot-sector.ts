// The smallest guest that proves an accelerator: a boot sector that does once what every system does while it starts, and
// then ends QEMU through its isa-debug-exit device. A KVM that only looks like one fails in one of these, or takes seconds.
//
//   sti; hlt, hlt                       sleep until the BIOS timer has ticked twice
//   page tables at 1000h; cr3, cr4.PAE; EFER.LME; lgdt; cr0.PG|PE; ljmp 8      real mode to long mode in one step
//   [5000h] = rax; compare [205000h]    the same memory through two pages, with 64-bit addresses
//   out F4h, 11h                        done
const program =
  '31c08ed88ec08ed0bc007cfbb90200f4e2fdfafc66bf001000000f22df6631c0' +
  '66b9000c000066f3abc606001003c606011020c606002003c606012030c60600' +
  '3083c60608308366b8200000000f22e066b9800000c00f32660d000100000f30' +
  '0f0116a87c66b8010000800f22c0ea737c080048b8887766554433221148c7c3' +
  '00500000488903483983000020007504b011e6f4f4ebfd900000000000000000' +
  '00000000009a20000f00987c0000'

export const probePort = 0xf4
/** QEMU's exit code is twice the written byte plus one. */
export const probeExitCode = 0x11 * 2 + 1

/** Of 1 MiB, because firmware reads more than the sector that it boots. */
export function bootDisk(): Buffer {
  const disk = Buffer.alloc(2 ** 20)
  disk.write(program, 0, 'hex')
  disk.set([0x55, 0xaa], 510)
  return disk
}
