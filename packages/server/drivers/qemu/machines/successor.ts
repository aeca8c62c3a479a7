// A machine goes on in another process. The second one is started while the first one runs, and waits for the state of the devices; the
// first one stops, sends it and lets go of the disks; then the machine is the second one, by one rename, and its CPUs run. So the guest
// stands still for the state alone, however much memory it has, which becomes the image that the second one reads from.
//
// Until the rename the first one can go on at any time, and does when anything fails; from the moment that the second one may have
// run, it never does: the guest may have told the world what is only in the second one. Killed in between, the server finds both; the
// record says which one is the machine (find-machines.ts). A second one that was not given all of the state ends with the server.
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MemoryImageFacts } from '../../driver.ts'
import type { MachinePlan } from './argv.ts'
import { tailOf } from './console.ts'
import { chooseCapabilities, DeviceState } from '../memory/device-state.ts'
import { type Launched, launch, prepareSockets, releaseSockets } from '../process/launch.ts'
import { dropSuccessor, prepareRecord, settleSuccessor } from './machine-folder.ts'
import { Machine } from './machine.ts'
import { beginImageOf, discardImage, type ImageAt, publishImage } from '../memory/memory-files.ts'
import type { Log } from '../options.ts'
import type { Identity } from '../process/privileges.ts'
import { killAndWait } from '../process/process.ts'
import { problems } from '../problems.ts'
import { dropRamFile } from '../memory/ram.ts'
import { goOn } from '../memory/save-memory.ts'
import type { MachineShape } from './shape.ts'
import { lastLine } from '../process/tools.ts'

const endLimitMs = 10_000
const loadLimitMs = 30_000

export interface Succession {
  readonly plan: MachinePlan
  readonly image: ImageAt
  readonly shape: MachineShape
  readonly quiesced: boolean
  readonly identity: Identity | null
  readonly log: Log
}

export interface Succeeded {
  readonly machine: Machine
  readonly stunMs: number
  readonly memory: MemoryImageFacts
}

/** The second process could not be started; the first one has not even stood still. */
export class NoSuccessor extends Error {}

/** `become` is told the process that is the machine from then on. Whatever fails before, the first one runs on and no image is left. */
export async function succeed(
  first: Machine,
  { plan, image, shape, quiesced, identity, log }: Succession,
  become: (machine: Machine) => void,
): Promise<Succeeded> {
  const { folder } = first.found
  const files = await beginImageOf(image, folder.ram)
  let second: Second | null = null
  try {
    const devices = await DeviceState.prepare(first, shape.memoryMib * 2 ** 20, identity)
    try {
      second = await startSecond(first, plan, 'fed', identity, log)
      const stun = listen(first, second.machine)
      const state = await devices.take()
      await Promise.all([second.load(state), writeFile(files.state, state, { mode: 0o600 })])
      await second.takeOver(become)
      const [memory] = await Promise.all([publishImage(image, { shape, quiesced }), end(first, second.machine)])
      return { machine: second.machine, stunMs: stun(), memory }
    } finally {
      await devices.close()
    }
  } catch (error) {
    if (second?.hasTakenOver) throw error
    await second?.kill()
    await dropSuccessor(folder)
    await discardImage(image).catch(() => {}) // the first failure is the one to tell
    if (first.alive) await goOn(await first.monitor())
    throw error
  }
}

/** The process that waits. */
export class Second {
  readonly machine: Machine
  hasTakenOver = false
  readonly #launched: Launched
  readonly #become: () => Promise<void>
  readonly #first: Machine

  constructor(machine: Machine, launched: Launched, first: Machine, become: () => Promise<void>) {
    this.machine = machine
    this.#launched = launched
    this.#first = first
    this.#become = become
  }

  /** Fulfils when it has loaded all, what it is fed with too. */
  async load(state?: Buffer): Promise<void> {
    if (state) this.#launched.feed?.end(state)
    const qmp = await this.machine.monitor()
    for (const deadline = performance.now() + loadLimitMs; performance.now() < deadline; await sleep(1)) {
      const { status } = await qmp.execute('query-status')
      if (status !== 'inmigrate') return
    }
    throw problems.startFailed(`the state of its devices was not loaded within ${loadLimitMs / 1000} s`)
  }

  async takeOver(become: (machine: Machine) => void): Promise<void> {
    const qmp = await this.machine.monitor()
    await this.#become()
    try {
      await qmp.execute('cont')
    } catch (error) {
      // It said no, and has not run. One that ended, or is silent, may have.
      if (this.machine.alive && (await standsStill(qmp))) {
        await this.#first.record()
        throw error
      }
      this.hasTakenOver = true
      this.#pass(become)
      await killAndWait(this.#first.found.process, endLimitMs)
      throw error
    }
    this.hasTakenOver = true
    this.#pass(become)
  }

  async kill(): Promise<void> {
    this.machine.release()
    await killAndWait(this.#launched.process, endLimitMs)
  }

  #pass(become: (machine: Machine) => void): void {
    this.#first.quiet = true
    this.machine.quiet = false
    become(this.machine)
  }
}

/** `state` is the open file that has the state of its devices; or it is fed to it, once it is known. */
export async function startSecond(
  first: Machine,
  plan: MachinePlan,
  state: number | 'fed',
  identity: Identity | null,
  log: Log,
): Promise<Second> {
  const { folder } = first.found
  await dropSuccessor(folder)
  const sockets = await prepareSockets(plan.folder)
  const launched = await launch(plan, sockets, state, identity).finally(() => releaseSockets(sockets))
  const found = { folder: plan.folder, sshPorts: first.sshPorts, process: launched.process, ended: launched.ended }
  const machine = new Machine(found, log)
  machine.quiet = true
  const { pid, startTime, boot } = launched.process
  try {
    const qmp = await machine.monitor()
    await chooseCapabilities(qmp, ['pause-before-switchover']) // whoever finds it standing still lets it go on (save-memory.ts)
    const become = await prepareRecord(folder, { pid, startTime, boot, sshPorts: first.sshPorts })
    return new Second(machine, launched, first, become)
  } catch (error) {
    machine.release()
    await killAndWait(launched.process, endLimitMs)
    throw new NoSuccessor(lastLine((await tailOf(folder.log, 4096)).toString('utf8')), { cause: error })
  }
}

async function standsStill(qmp: Awaited<ReturnType<Machine['monitor']>>): Promise<boolean> {
  const answer = await qmp.execute('query-status', {}, 1000).catch(() => null)
  return answer?.running === false
}

/** The first one has nothing any more that the second one needs, but its names. */
export async function end(first: Machine, second: Machine): Promise<void> {
  const { folder } = first.found
  if (!(await killAndWait(first.found.process, endLimitMs))) throw problems.cannotStop(first.vm)
  await settleSuccessor(folder)
  second.settleIn(folder)
  await dropRamFile(folder.ram) // the image and the second one have it by another name
}

/** How long the guest stood still, as both processes noted it. */
export function listen(first: Machine, second: Machine): () => number {
  let [stopped, resumed] = [0, 0]
  first.hear(({ event, at }) => event === 'STOP' && (stopped ||= at))
  second.hear(({ event, at }) => event === 'RESUME' && (resumed ||= at))
  return () => Math.max(0, (resumed || Date.now()) - stopped)
}
