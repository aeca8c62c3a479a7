// For tests: networks without machines. Programs hold taps as QEMU would, and servers answer inside.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aCard } from '../../contract-networks.ts'
import type { NetworkNicSpec } from '../../driver.ts'
import type { NetworkSpec } from '../../networks.ts'
import { quietLog } from '../a-driver.ts'
import { type Identity, server } from '../process/privileges.ts'
import { networkFolder, networksDirectory } from './folder.ts'
import { inside, isOrdinary } from './keeper.ts'
import { QemuNetworks } from './networks.ts'
import { networkRefusal } from './probe.ts'
import { plugsOf, withTaps } from './taps.ts'

export const refusal = await networkRefusal()
/** Who runs machines. */
export const somebody: Identity = isOrdinary ? server : { uid: 1_900_000_007, gid: 1_900_000_007 }

/** `host`: see way-out.ts. */
export async function someNetworks(host: string | null = null) {
  const folder = await mkdtemp(join(tmpdir(), 'ramet-n-'))
  await chmod(folder, 0o711)
  const directory = networksDirectory(join(folder, 'vms'))
  await mkdir(directory, { mode: 0o711 })
  const again = () => {
    const networks = new QemuNetworks(directory, refusal, somebody, quietLog, host)
    networks.close() // a test says itself when they are looked after
    return networks
  }
  const networks = again()
  const children: ChildProcess[] = []
  const run = (program: string, words: readonly string[]) => {
    const child = spawn(program, words)
    children.push(child)
    return child
  }
  const become = (nics: readonly NetworkNicSpec[], words: readonly string[]) => {
    const [program, ...all] = withTaps(directory, plugsOf(nics), somebody, words)
    return run(program, all)
  }
  return {
    directory,
    run,
    networks,
    again,
    /** A process that holds the cards' taps. */
    hold: (...nics: NetworkNicSpec[]) => become(nics, ['sleep', '1000']),
    /** A program that has them from file 10 on. */
    become,
    /** A program of Node's inside the network. */
    inside: ({ id }: NetworkSpec, script: string) => {
      const [program = '', ...way] = inside(directory, networkFolder(directory, id).namespaceFile)
      return run(program, [...way, process.execPath, '-e', script])
    },
    async dispose() {
      for (const child of children)
        if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit')
      for (const { id } of await networks.calls.list()) await networks.calls.remove(id)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type SomeNetworks = Awaited<ReturnType<typeof someNetworks>>

/** A machine with just this card, as far as networks ask. */
export function aMember(network: NetworkSpec, address: string) {
  return aCard(network, { address, forwardSsh: false })
}
