// `ramet demo`: the main job, on real machines. A template, a linked clone, a full clone, SSH into both, proof that they
// are apart, a restart, a tree of VM snapshots with a revert to each, ten forks of the running machine, and everything
// gone again; with what each kind of clone cost. With --json one document instead.
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readAdmin } from '@ramet/client/admin.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { type DeployOptions, type Machine, World } from './world.ts'

export interface DemoStep {
  readonly name: string
  readonly ok: boolean
  readonly ms: number
  /** Disk space that the step took, where it took any. */
  readonly bytes?: number
}

/** 0 when everything worked. */
export async function demo(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: 'boolean' }, keep: { type: 'boolean' }, 'data-dir': { type: 'string' } },
  })
  const dataDir = values['data-dir'] ?? (await mkdtemp(join(tmpdir(), 'ramet-demo-')))
  const story = new Story(values.json ?? false)
  let server: ServerProcess | null = null
  try {
    const { file } = await story.step('build the tiny image', () =>
      buildTiny({ directory: imageCache(), onProgress: line => story.say(`   ${line}`) }),
    )
    server = await story.step('start the server', () => startServer(dataDir, { RAMET_LOG_LEVEL: 'warn' }))
    await play(story, await World.open(server.client), file, values.keep ?? false)
  } catch (error) {
    story.fail(error)
  }
  if (values.keep && server) await keep(story, server, dataDir)
  else {
    await server?.end('SIGTERM')
    await rm(dataDir, { recursive: true, force: true })
    await rm(`${dataDir}.log`, { force: true })
  }
  story.close()
  return story.ok ? 0 : 1
}

async function play(story: Story, world: World, image: string, keepMachines: boolean): Promise<void> {
  story.accel = await world.acceleration()
  story.say(`\nGuests run under ${story.accel.toUpperCase()} on ${cpus().length} processors.\n`)
  const template = await story.step(
    'register the template',
    () => world.registerTemplate(image),
    ({ bytes }) => bytes,
  )
  const network = await story.step('make a network', () => world.makeNetwork('demo'))
  if (!network) story.say('   this host can have none (listHosts says why); each machine is alone behind NAT')
  const nic: DeployOptions = network ? { networkids: network } : {}
  const linked = await story.step(
    'deploy a linked clone',
    () => world.deploy(template.id, 'demo-linked', 'linked', nic),
    machine => machine.exclusiveBytes,
  )
  const full = await story.step(
    'deploy a full clone',
    () => world.deploy(template.id, 'demo-full', 'full', nic),
    machine => machine.exclusiveBytes,
  )
  story.machines = [linked, full]
  for (const machine of [linked, full])
    await story.step(`log in to ${machine.name} by SSH`, () => world.awaitSsh(machine))
  await story.step('a file written in one is not in the other', () => proveApart(world, linked, full))
  if (network)
    await story.step('open a page of each by a port of this host', () => openPages(world, network, [linked, full]))
  const restarted = await story.step(`restart ${linked.name} and log in again`, async () => {
    const machine = await world.reboot(linked)
    await world.awaitSsh(machine)
    return machine
  })
  await story.step('the file is still there', () => world.ssh(restarted, 'grep -q linked /root/mine'))
  await growTree(story, world, restarted)
  story.compare(linked, full)
  await forkTenTimes(story, world, await world.machine(restarted.id))
  if (keepMachines) return
  await story.step('destroy both machines', () => Promise.all([linked, full].map(machine => world.expunge(machine))))
  if (network) await story.step('delete the network', () => world.client.run('deleteNetwork', { id: network }))
  await story.step('delete the template', () => world.deleteTemplate(template.id))
}

async function openPages(world: World, network: string, machines: readonly Machine[]): Promise<void> {
  for (const machine of machines) {
    await world.serveName(machine)
    const port = await world.forward(machine, network, 80)
    const page = (await (await fetch(`http://127.0.0.1:${port}/`)).text()).trim()
    if (page !== machine.name) throw new Error(`port ${port} leads to ${page}, and not to ${machine.name}`)
  }
}

/** A tree A-(B, C): what each holds is on the disk and, but for C, in the memory of the guest (/run). */
async function growTree(story: Story, world: World, machine: Machine): Promise<void> {
  const ids = new Map<string, string>()
  const write = (mark: string) => world.ssh(machine, `echo ${mark} > /root/mark; echo ${mark} > /run/mark; sync`)
  const find = async (wanted: string) => {
    const found = await world.ssh(machine, 'cat /root/mark')
    if (found !== wanted) throw new Error(`the guest finds ${found} where ${wanted} should be`)
  }
  const take = async (mark: string, withMemory: boolean) => {
    await write(mark)
    const what = withMemory ? 'disks and memory' : 'the disks'
    await story.step(
      `take VM snapshot ${mark} of ${what} while it runs`,
      async () => {
        const snapshot = await world.takeSnapshot(machine, mark, withMemory)
        ids.set(mark, snapshot['id'] as string)
        story.say(`   the guest stood still for ${Number(snapshot['stunms']).toFixed(1)} ms`)
        return snapshot
      },
      snapshot => snapshot['memorybytes'] as number | undefined,
    )
  }
  const revert = async (mark: string) => {
    await write('lost')
    await story.step(`revert to ${mark}`, async () => {
      const { state } = await world.revert(ids.get(mark) ?? '')
      if (state === 'Stopped') await world.start(machine)
      await world.awaitSsh(machine)
      await find(mark)
    })
  }
  await take('A', true)
  await take('B', true)
  await revert('A')
  await take('C', false)
  for (const mark of ['B', 'A', 'C']) await revert(mark)
  await write('now')
  await story.step('delete A while the guest runs', () => world.deleteSnapshot(ids.get('A') ?? ''))
  await story.step('the guest has noticed nothing', () => find('now'))
  await revert('B')
}

/** Instant clones: each goes on where its source is, in memory too, and becomes somebody of its own. */
async function forkTenTimes(story: Story, world: World, source: Machine): Promise<void> {
  await world.ssh(source, 'echo shared > /run/thought')
  const begin = performance.now()
  const clones = await story.step(`fork ${source.name} ten times while it runs`, () =>
    world.fork(source, 'demo-fork', 10),
  )
  const ready = await story.step('each has an identity of its own', () => world.awaitCustomized(clones))
  const found = await world.machines({ ids: clones.map(({ id }) => id).join() })
  await story.step('each remembers what its source had in mind', () =>
    Promise.all(found.map(clone => proveFork(world, clone))),
  )
  story.tellForks(found.map(clone => ({ clone, ms: Math.round((ready.get(clone.id) ?? 0) - begin) })))
  await story.step('destroy the ten', () => Promise.all(clones.map(clone => world.expunge(clone))))
}

async function proveFork(world: World, clone: Machine): Promise<void> {
  await world.awaitSsh(clone)
  const found = await world.ssh(clone, 'cat /run/thought; hostname')
  if (found !== `shared\n${clone.name}`) throw new Error(`${clone.name} says ${found}`)
}

async function proveApart(world: World, one: Machine, other: Machine): Promise<void> {
  await world.ssh(one, 'echo linked > /root/mine && sync')
  if ((await world.ssh(other, 'ls /root/mine 2>/dev/null || echo none')) !== 'none')
    throw new Error('the file is in both machines')
  const [a, b] = await Promise.all([one, other].map(machine => world.ssh(machine, 'hostname; cat /etc/machine-id')))
  if (a === b) throw new Error('both machines call themselves the same')
}

async function keep(story: Story, server: ServerProcess, dataDir: string): Promise<void> {
  const { username, password } = await readAdmin(dataDir)
  story.say(
    `\nThe server runs on at ${server.url} (user ${username}, password ${password}, keys in ${dataDir}/admin.json).`,
  )
  story.say(
    `  ./ramet listVirtualMachines --data-dir ${dataDir}\nIt ends with: kill ${server.child.pid}; the machines live on until they are destroyed.`,
  )
  server.child.unref()
  for (const stream of [server.child.stdout, server.child.stderr]) stream?.destroy()
}

class Story {
  readonly steps: DemoStep[] = []
  machines: Machine[] = []
  accel = 'unknown'
  #error: string | null = null
  readonly #json: boolean

  constructor(json: boolean) {
    this.#json = json
  }

  get ok(): boolean {
    return this.#error === null && this.steps.every(({ ok }) => ok)
  }

  say(line: string): void {
    if (!this.#json) process.stdout.write(`${line}\n`)
  }

  async step<T>(name: string, act: () => Promise<T>, bytesOf?: (made: T) => number | undefined): Promise<T> {
    const begin = performance.now()
    const note = (ok: boolean, bytes?: number) => {
      const ms = Math.round(performance.now() - begin)
      this.steps.push({ name, ok, ms, ...(bytes !== undefined && { bytes }) })
      this.say(
        `${ok ? '✓' : '✗'} ${name.padEnd(44)} ${`${ms} ms`.padStart(10)}${bytes === undefined ? '' : `   ${inMib(bytes)}`}`,
      )
    }
    try {
      const made = await act()
      note(true, bytesOf?.(made))
      return made
    } catch (error) {
      note(false)
      throw error
    }
  }

  compare(linked: Machine, full: Machine): void {
    const row = (machine: Machine) =>
      `${machine.cloneType.padEnd(8)} ${`${machine.deployMs} ms`.padStart(10)} ${inMib(machine.exclusiveBytes).padStart(14)} ${inMib(machine.sharedBytes).padStart(14)}`
    this.say(`\nclone     deployed in      own bytes   shared bytes\n${row(linked)}\n${row(full)}\n`)
  }

  tellForks(forks: readonly { readonly clone: Machine; readonly ms: number }[]): void {
    const rows = forks.toSorted((a, b) => a.clone.name.localeCompare(b.clone.name, 'en', { numeric: true }))
    this.say('\nclone           customized after      own bytes   shared bytes   ssh')
    for (const { clone, ms } of rows)
      this.say(
        `${clone.name.padEnd(14)} ${`${ms} ms`.padStart(17)} ${inMib(clone.exclusiveBytes).padStart(14)} ${inMib(clone.sharedBytes).padStart(14)}   ${clone.sshAddress}`,
      )
    this.say('')
  }

  fail(error: unknown): void {
    this.#error = (error as Error).message
    process.stderr.write(`${this.#error}\n`)
  }

  close(): void {
    if (!this.#json) return this.say(this.ok ? '\nEverything worked.' : '\nThe demo failed.')
    const machines = this.machines.map(({ id, name, cloneType, sshAddress, deployMs }) => ({
      id,
      name,
      clonetype: cloneType,
      sshaddress: sshAddress,
      deployms: deployMs,
    }))
    process.stdout.write(
      `${JSON.stringify({ ok: this.ok, accel: this.accel, steps: this.steps, machines, ...(this.#error && { error: this.#error }) })}\n`,
    )
  }
}

function inMib(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
