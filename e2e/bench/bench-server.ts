// The server that is measured: a process of its own on a fresh data directory, with `tiny` on its pool.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readAdmin } from '@ramet/client/admin.ts'
import { buildTiny } from '../../images/tiny/build.ts'
import { imageCache } from '../image-cache.ts'
import { type ServerProcess, startServer } from '../server-process.ts'
import { type DeployOptions, World } from '../world.ts'
import { LiveEvents } from './live-events.ts'
import { type Deployed, TimedCalls } from './timed-calls.ts'

export class BenchServer {
  readonly directory: string
  readonly world: World
  readonly #server: ServerProcess
  readonly #events: LiveEvents
  readonly #calls: TimedCalls
  #tiny: Promise<string> | null = null

  private constructor(directory: string, server: ServerProcess, world: World, events: LiveEvents) {
    this.directory = directory
    this.#server = server
    this.world = world
    this.#events = events
    this.#calls = new TimedCalls(`${directory}.log`, world, events)
  }

  static async start(): Promise<BenchServer> {
    const directory = await mkdtemp(join(tmpdir(), 'ramet-bench-'))
    const server = await startServer(directory, { RAMET_LOG_LEVEL: 'info' })
    const events = await LiveEvents.open(server.url, await readAdmin(directory))
    return new BenchServer(directory, server, await World.open(server.client), events)
  }

  /** The template `tiny`, ready, and its copy on the pool. */
  tiny(): Promise<string> {
    return (this.#tiny ??= (async () => {
      const { file } = await buildTiny({ directory: imageCache() })
      return this.#onPool((await this.world.registerTemplate(file)).id)
    })())
  }

  /** The first clone of a template waits for its copy; no clone that is measured should. */
  async #onPool(template: string): Promise<string> {
    const { id } = await this.world.deploy(template, 'first', 'linked', { startvm: false })
    await this.world.expunge({ id })
    return template
  }

  async register(file: string, name: string): Promise<string> {
    const { id } = await this.world.registerTemplate(file, { name, displaytext: name, passwordenabled: false })
    return this.#onPool(id)
  }

  deploy(template: string, name: string, cloneType: 'linked' | 'full', set: DeployOptions = {}): Promise<Deployed> {
    return this.#calls.make('deployVirtualMachine', {
      ...this.#fields(),
      templateid: template,
      name,
      clonetype: cloneType,
      ...set,
    })
  }

  /** A linked clone of a VM snapshot. */
  deploySnapshot(vmsnapshotid: string, name: string): Promise<Deployed> {
    return this.#calls.make('deployVirtualMachine', { ...this.#fields(), vmsnapshotid, name, clonetype: 'linked' })
  }

  /** An instant clone. */
  clone(virtualmachineid: string, name: string): Promise<Deployed> {
    return this.#calls.make('cloneVirtualMachine', { virtualmachineid, name, clonetype: 'instant' })
  }

  /** A number that the server tells on /metrics. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(new URL('/metrics', this.#server.url))).text()
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  }

  /** Where it is written down which process a machine is. */
  recordOf(id: string): string {
    return join(this.directory, 'vms', id, 'machine.json')
  }

  #fields() {
    return { zoneid: this.world.zone, serviceofferingid: this.world.offering, keypair: 'demo' }
  }

  /** Forced stop and expunge: its guest must not keep a processor busy while the next is measured. */
  async remove({ id }: Pick<Deployed, 'id'>): Promise<void> {
    if ((await this.world.machine(id)).state === 'Running') await this.world.stop({ id }, true)
    await this.world.expunge({ id })
  }

  /** Paths of all layers on the server's pools. */
  async layerFiles(): Promise<string[]> {
    const files = await readdir(this.directory, { recursive: true, withFileTypes: true })
    return files
      .filter(file => file.name.endsWith('.qcow2') && file.parentPath.endsWith('/layers'))
      .map(file => join(file.parentPath, file.name))
  }

  async close(): Promise<void> {
    const machines = await this.world.machines()
    await Promise.all(machines.map(machine => this.remove(machine)))
    this.#events.close()
    await this.#server.end('SIGTERM')
    await rm(this.directory, { recursive: true, force: true })
    await rm(`${this.directory}.log`, { force: true })
  }
}
