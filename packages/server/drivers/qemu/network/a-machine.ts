// For tests: a machine without a guest, which sends and hears frames.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { newId, type NicId } from '@ramet/core/ids.ts'
import { eventually } from '../../../testing/eventually.ts'
import type { NetworkNicSpec } from '../../driver.ts'
import type { SomeNetworks } from './a-network.ts'
import { type Station, dhcp, everybody, udp } from './frames.ts'

/** Not as a file: the user who runs it may not be able to read this folder. */
const program = readFileSync(join(import.meta.dirname, 'a-machine.pl'), 'utf8')

export interface FrameMachine extends Station {
  readonly nic: NicId
  /** All frames that arrived, the last one last. */
  readonly heard: readonly string[]
  send(...frames: string[]): void
  /** Until a frame has arrived that is, or has in it, `part`. */
  hears(part: string): Promise<string>
  end(): Promise<void>
}

/** Admits the card, and holds its tap. */
export async function aFrameMachine(made: SomeNetworks, nic: NetworkNicSpec): Promise<FrameMachine> {
  await made.networks.admit(newId<'vm'>(), [nic], `m-${nic.id.slice(0, 8)}`)
  const child = made.become([nic], ['perl', '-e', program])
  const lines = createInterface({ input: child.stdout })
  await once(lines, 'line')
  const heard: string[] = []
  lines.on('line', line => heard.push(line))
  return {
    nic: nic.id,
    mac: nic.mac,
    address: nic.address,
    heard,
    send: (...frames) => void child.stdin.write(frames.map(frame => `${frame}\n`).join('')),
    hears: part => eventually(`a frame with ${part}`, async () => heard.find(frame => frame.includes(part)) ?? null),
    async end() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** A client that looks for a DHCP server; `client`: the MAC that it claims to ask for. */
export function asksForAddress(from: Station, client = from.mac, message = dhcp('discover', client)): string {
  const all = { mac: everybody, address: '255.255.255.255', port: 67 }
  return udp({ from: { ...from, address: '0.0.0.0', port: 68 }, to: all, payload: message })
}

/** In the offer that the station gets: "yours is …", and its MAC. */
export function offerOf({ mac, address }: Station): string {
  const its = Buffer.from(address.split('.').map(Number)).toString('hex')
  return `${its}0a01010100000000${mac.replaceAll(':', '')}`
}
