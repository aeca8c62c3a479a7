// A domain of libvirt with its memory in a file, to go on from there again and again: what libvirt has that is nearest to an instant clone.
import { join } from 'node:path'
import { LibvirtMachine, startLibvirt } from './libvirt.ts'
import { timed } from './measure.ts'

export interface Saved {
  readonly version: string
  /** Milliseconds until it runs again; then it is ended. */
  restore(): Promise<number>
  close(): Promise<void>
}

/** A twin of the machine that `args` start, saved when it has booted. */
export async function aSavedDomain(folder: string, base: string, args: readonly string[]): Promise<Saved> {
  const libvirt = await startLibvirt(join(folder, 'libvirt'))
  try {
    const domain = await LibvirtMachine.prepare(libvirt, folder, base, args)
    const file = join(folder, 'memory')
    await domain.boot()
    await libvirt.virsh('save', domain.name, file)
    return {
      version: libvirt.version,
      async restore() {
        const ms = await timed(() => libvirt.virsh('restore', file))
        await libvirt.virsh('destroy', domain.name)
        return ms
      },
      async close() {
        await domain.remove()
        await libvirt.close()
      },
    }
  } catch (error) {
    await libvirt.close()
    throw error
  }
}
