// For tests: who sent frames into a network, and by which interface.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { NetworkId } from '@ramet/core/ids.ts'
import { networkFolder, networksDirectory } from './folder.ts'
import { bridge } from './segment.ts'

const outgoing = 4

export interface Capture {
  /** Interfaces by which frames of the sender came in, each with how many. */
  cameIn(mac: string): ReadonlyMap<string, number>
  end(): Promise<void>
}

/** From its answer on nothing passes unseen. */
export async function aCapture(runDirectory: string, network: NetworkId): Promise<Capture> {
  const { namespaceFile } = networkFolder(networksDirectory(runDirectory), network)
  const child = spawn('nsenter', [`--net=${namespaceFile}`, 'perl', join(import.meta.dirname, 'a-capture.pl')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  await once(lines, 'line')
  const senders = new Map<string, Map<string, number>>()
  lines.on('line', line => {
    const [name = '', kind, mac = ''] = line.split(' ')
    if (name === bridge || Number(kind) === outgoing) return
    const of = senders.get(mac) ?? new Map<string, number>()
    senders.set(mac, of.set(name, (of.get(name) ?? 0) + 1))
  })
  return {
    cameIn: mac => senders.get(mac) ?? new Map<string, number>(),
    async end() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
