// A server that can be told where to die, on real QEMU or on simulated hosts. Its guest does next to nothing (letting-go.ts): what is
// tried here are records, files and processes.
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { diagnose } from '@ramet/server/doctor/main.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { type ServerProcess, startServer } from '../server-process.ts'
import { World } from '../world.ts'
import { makeImage } from './letting-go.ts'

export class CrashLab {
  readonly directory: string
  readonly image: string
  server: ServerProcess
  world: World
  readonly #orders: string
  readonly #log: string
  readonly #args: readonly string[]

  private constructor(directory: string, image: string, server: ServerProcess, world: World, args: readonly string[]) {
    this.directory = directory
    this.#args = args
    this.image = image
    this.server = server
    this.world = world
    this.#orders = join(directory, 'orders')
    this.#log = join(directory, 'points')
  }

  static async open(args: readonly string[] = []): Promise<CrashLab> {
    const directory = await mkdtemp(join(tmpdir(), 'ramet-crash-'))
    await chmod(directory, 0o711) // the accounts of machines and database pass through
    const image = join(directory, 'image.qcow2')
    await makeImage(image)
    await Promise.all(['orders', 'points'].map(name => writeFile(join(directory, name), '')))
    const server = await startServer(join(directory, 'data'), crashEnvironment(directory), args)
    return new CrashLab(directory, image, server, await World.open(server.client), args)
  }

  get dataDir(): string {
    return join(this.directory, 'data')
  }

  /** The points that jobs pass while `act` runs, in order, without repeats. */
  async pointsOf(act: () => Promise<unknown>): Promise<string[]> {
    await writeFile(this.#log, '')
    await act()
    await this.world.quiet()
    return [...new Set((await readFile(this.#log, 'utf8')).trim().split('\n'))]
  }

  order(lines: readonly string[]): Promise<void> {
    return writeFile(this.#orders, lines.join('\n'))
  }

  /** Whether every order has been carried out. */
  async obeyed(): Promise<boolean> {
    return (await readFile(this.#orders, 'utf8')).trim() === ''
  }

  async died(): Promise<void> {
    await eventually(
      'the server dies',
      async () => this.server.child.signalCode !== null || this.server.child.exitCode !== null,
    )
  }

  /** A new server on what the dead one left, once it has brought everything to an end. */
  async recover(): Promise<void> {
    this.server = await startServer(this.dataDir, crashEnvironment(this.directory), this.#args)
    this.world = this.world.at(this.server.client)
    await this.world.quiet()
  }

  /** The process of a machine, by its name on the command line. */
  async pidOf(vm: string): Promise<string> {
    const { stdout } = await promisify(execFile)('pgrep', ['-f', `^qemu-system.*-uuid ${vm}`])
    return stdout.trim()
  }

  async findings(): Promise<string[]> {
    return (await diagnose(this.dataDir)).map(({ subject, what }) => `${subject} ${what}`)
  }

  async close(): Promise<void> {
    for (const machine of await this.world.machines()) await this.world.expunge(machine)
    await this.server.end('SIGTERM')
    await rm(this.directory, { recursive: true, force: true })
  }
}

function crashEnvironment(directory: string): Record<string, string> {
  return {
    RAMET_ACCEL: 'tcg',
    RAMET_LOG_LEVEL: 'warn',
    RAMET_CRASH_FILE: join(directory, 'orders'),
    RAMET_CRASH_LOG: join(directory, 'points'),
  }
}
