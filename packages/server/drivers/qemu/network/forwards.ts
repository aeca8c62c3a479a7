// Which ports of the host lead where. A file says that a port is somebody's, whether or not the forwarder runs.
import { mkdir } from 'node:fs/promises'
import type { VmId } from '@ramet/core/ids.ts'
import type { NetworkNicSpec } from '../../driver.ts'
import type { Forward } from '../../networks.ts'
import { choosePort } from '../process/ports.ts'
import type { Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { Turns } from '../machines/turns.ts'
import * as files from './folder.ts'
import { Forwarder } from './forwarder.ts'

const sshHost = '127.0.0.1'
const portAttempts = 5
const turns = new Turns<string>()

export class Forwards {
  readonly #directory: string
  readonly #forwarder: Forwarder

  constructor(directory: string, identity: Identity) {
    this.#directory = directory
    this.#forwarder = new Forwarder(directory, identity)
  }

  begin(forward: Forward): Promise<void> {
    return this.#inTurn(() => this.#begin(forward))
  }

  beginSsh(vm: VmId, nic: NetworkNicSpec): Promise<number> {
    return this.#inTurn(() => this.#beginSsh(vm, nic))
  }

  /** One for SSH ends with its machine alone. */
  async end(address: string, port: number): Promise<void> {
    await this.endAll(forward => forward.address === address && forward.port === port && forward.ssh === null)
  }

  async endAll(which: (forward: Forward) => boolean): Promise<void> {
    const all = await files.readForwards(this.#directory)
    for (const { address, port } of all.filter(which)) await this.#inTurn(() => this.#end(address, port))
  }

  /** Starts the forwarder again where it was ended. */
  keep(): Promise<void> {
    return this.#inTurn(() => this.#agree())
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    return turns.take(this.#directory, act)
  }

  /** By the port that the card has or had, where that is free, or another. */
  async #beginSsh(vm: VmId, { id, network, address, sshPort }: NetworkNicSpec): Promise<number> {
    const known = (await files.readForwards(this.#directory)).find(({ ssh }) => ssh?.nic === id)
    for (let attempt = 1; ; attempt += 1) {
      const port = known?.port ?? (await choosePort(attempt === 1 ? sshPort : null, new Set()))
      const forward = { address: sshHost, port, network: network.id, to: { address, port: 22 }, ssh: { vm, nic: id } }
      try {
        await this.#begin(forward)
        return port
      } catch (error) {
        if (known || attempt === portAttempts) throw error
      }
    }
  }

  async #begin(forward: Forward): Promise<void> {
    const { address, port, network } = forward
    const known = await files.readForward(this.#directory, address, port)
    if (known && (known.network !== network || known.ssh?.nic !== forward.ssh?.nic))
      throw problems.portTaken(address, port)
    await mkdir(files.forwardsFolder(this.#directory), { recursive: true, mode: 0o700 })
    await files.writeForward(this.#directory, forward)
    try {
      await this.#agree()
      await this.#forwarder.add(forward)
    } catch (error) {
      await (known ? files.writeForward(this.#directory, known) : files.forgetForward(this.#directory, address, port))
      await this.#agree()
      throw error
    }
  }

  async #end(address: string, port: number): Promise<void> {
    if (!(await files.readForward(this.#directory, address, port))) return
    await this.#forwarder.remove(address, port).catch(() => this.#forwarder.stop()) // no port is left to one that is deaf
    await files.forgetForward(this.#directory, address, port)
    await this.#agree()
  }

  /** The forwarder runs while there is something to forward. */
  async #agree(): Promise<void> {
    const all = await files.readForwards(this.#directory)
    await (all.length > 0 ? this.#forwarder.ensure(all) : this.#forwarder.stop())
  }
}
