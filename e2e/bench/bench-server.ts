// The server that is measured: a process of its own on a fresh data directory, with `tiny` on its pool.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readAdmin } from '@ramet/client/admin.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { buildTiny } from '../../images/tiny/build.ts'
import { imageCache } from '../image-cache.ts'
import { type ServerProcess, startServer } from '../server-process.ts'
import { type DeployOptions, World } from '../world.ts'
import { LiveEvents } from './live-events.ts'

/** Milliseconds from the call. */
export interface Deployed {
  readonly id: string
  /** The answer with the job's id. */
  readonly answered: number
  /** The process's monitor said `running`, by the server's log, to the millisecond; NaN where no machine was started. */
  readonly running: number
  /** It was told that the job is done. */
  readonly done: number
}

export class BenchServer {
  readonly directory: string
  readonly world: World
  readonly #server: ServerProcess
  readonly #events: LiveEvents
  #tiny: Promise<string> | null = null

  private constructor(directory: string, server: ServerProcess, world: World, events: LiveEvents) {
    this.directory = directory
    this.#server = server
    this.world = world
    this.#events = events
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
    return this.#deploy({ templateid: template, name, clonetype: cloneType, ...set })
  }

  /** A linked clone of a VM snapshot. */
  deploySnapshot(vmsnapshotid: string, name: string): Promise<Deployed> {
    return this.#deploy({ vmsnapshotid, name, clonetype: 'linked' })
  }

  async #deploy(set: DeployOptions & { readonly name: string }): Promise<Deployed> {
    const { client, zone, offering } = this.world
    const begin = performance.now()
    const asked = { zoneid: zone, serviceofferingid: offering, keypair: 'demo', ...set }
    const { id, jobid } = await client.call('deployVirtualMachine', asked)
    const answered = performance.now() - begin
    const told = await this.#events.untilEnd(String(jobid))
    const last = told.at(-1)
    if (last?.state !== 'done') throw await this.#failure(set.name, String(jobid))
    const running = set['startvm'] === false ? Number.NaN : await this.#loggedRunning(String(id))
    return { id: String(id), answered, running: running - performance.timeOrigin - begin, done: last.at - begin }
  }

  async #loggedRunning(vm: string): Promise<number> {
    return eventually('the log tells that the machine runs', async () => {
      const lines = (await readFile(`${this.directory}.log`, 'utf8')).split('\n')
      const line = lines.findLast(each => each.includes(vm) && each.includes('a machine runs'))
      return line ? Date.parse((JSON.parse(line) as { time: string }).time) : null
    })
  }

  async #failure(name: string, jobid: string): Promise<Error> {
    const { jobresult } = await this.world.client.call('queryAsyncJobResult', { jobid })
    return new Error(`the deployment of ${name} failed: ${JSON.stringify(jobresult)}`)
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
