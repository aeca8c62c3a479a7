// A machine whose process is alive: connected to QEMU's monitor and the guest agent until the process ends, whoever started
// it. That it ended is seen by the closed monitor and believed when the kernel says so.
import { setTimeout as sleep } from 'node:timers/promises'
import type { NicId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { NicSpec } from '../../driver.ts'
import { GuestAgent } from '../guest/guest-agent.ts'
import type { Ended } from '../process/launch.ts'
import { type MachineFolder, writeRecord } from './machine-folder.ts'
import { silence } from './nics.ts'
import type { Log } from '../options.ts'
import type { SshPorts } from '../process/ports.ts'
import { isAlive, waitForEnd } from '../process/process.ts'
import type { ProcessId } from '../process/process.ts'
import { problems } from '../problems.ts'
import { Qmp } from '../process/qmp.ts'
import type { QmpEvent } from '../process/qmp.ts'
import { wakeIfMarked } from '../guest/quiesce.ts'
import { goOn } from '../memory/save-memory.ts'

export interface Found {
  readonly folder: MachineFolder
  readonly process: ProcessId
  readonly sshPorts: SshPorts
  /** Known for a child of this server only. */
  readonly ended?: Promise<Ended>
}

const greetingLimitMs = 30_000
const reconnectAfterMs = 500
const endLimitMs = 1000
/** Of the devices' state, a few hundred KiB: memory is mapped. */
const loadLimitMs = 60_000
/** How often a machine that was paused because its pool was full tries again. */
const fullRetryMs = 10_000

export class Machine {
  readonly vm: VmId
  found: Found
  /** Fulfils with the reason once the process is gone. */
  readonly gone: Promise<string>
  /** While true its end is no news to anybody: it is still starting, or we end it. */
  quiet = false
  qmp: Qmp | null = null
  agent: GuestAgent | null = null
  readonly #log: Log
  readonly #listeners = new Set<(event: QmpEvent) => unknown>()
  #sshPorts: SshPorts
  #isSettled = false
  readonly #connected = Promise.withResolvers<void>()
  #released = false
  #lastShutdown: string | null = null
  #retry: NodeJS.Timeout | null = null

  constructor(found: Found, log: Log) {
    this.vm = found.folder.vm
    this.found = found
    this.#sshPorts = found.sshPorts
    this.#log = log
    found.ended?.catch(() => {}) // its own caller hears of it
    this.#connected.promise.catch(() => {})
    this.gone = this.#watch()
  }

  get alive(): boolean {
    return isAlive(this.found.process)
  }

  /** Whether the machine still runs after `error`. A process that ends closes its monitor a moment before it is gone. */
  async survives(error: unknown): Promise<boolean> {
    const isSilent = error instanceof Problem && error.code === 'qemu-silent'
    return isSilent ? !(await waitForEnd(this.found.process, endLimitMs)) : this.alive
  }

  /** False once this server has let go of it. */
  get watched(): boolean {
    return !this.#released
  }

  /** Ports of 127.0.0.1 that reach the guest's SSH, by NIC. */
  get sshPorts(): SshPorts {
    return this.#sshPorts
  }

  /** The process that it takes over from is gone, and so are that one's names: it has them now. */
  settleIn(folder: MachineFolder): void {
    this.found = { ...this.found, folder }
  }

  /** For the next server too; null: the card is gone, or has none. */
  async rememberPort(nic: NicId, port: number | null): Promise<void> {
    const { [nic]: _, ...others } = this.#sshPorts
    this.#sshPorts = port === null ? others : { ...others, [nic]: port }
    await this.record()
  }

  async record(): Promise<void> {
    const { pid, startTime, boot } = this.found.process
    await writeRecord(this.found.folder, { pid, startTime, boot, sshPorts: this.#sshPorts })
  }

  /**
   * Lets the CPUs run, in a process that has not begun: to boot, or to go on once its memory's state is loaded ('paused'). That
   * tells the cards whether they have a link, so it is taken from those that shall have none only then.
   */
  async run(nics: readonly NicSpec[]): Promise<void> {
    const status = await this.loaded()
    if (status !== 'prelaunch' && status !== 'paused') return
    const monitor = await this.monitor()
    await silence(monitor, nics)
    await monitor.execute('cont')
  }

  /** Fulfils with its status, when it has loaded what it goes on from. */
  async loaded(): Promise<string> {
    const monitor = await this.monitor()
    for (const deadline = performance.now() + loadLimitMs; performance.now() < deadline; await sleep(1)) {
      const { status } = await monitor.execute('query-status')
      if (status !== 'inmigrate') return status
    }
    throw problems.startFailed(`the state of its devices was not loaded within ${loadLimitMs / 1000} s`)
  }

  /** Tells `listener` what QEMU says, until the returned call. */
  hear(listener: (event: QmpEvent) => unknown): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The monitor of a machine that may just have been found. */
  async monitor(): Promise<Qmp> {
    const late = new AbortController()
    const silent = sleep(greetingLimitMs, null, { ref: false, signal: late.signal }).then(() => {
      throw problems.monitorSilent('on its monitor')
    })
    await Promise.race([this.#connected.promise, silent]).finally(() => {
      silent.catch(() => {})
      late.abort()
    })
    if (!this.qmp) throw problems.monitorSilent('on its monitor')
    return this.qmp
  }

  /** Lets go of the machine without touching it. */
  release(): void {
    this.#released = true
    clearTimeout(this.#retry ?? undefined)
    this.qmp?.close()
    this.agent?.close()
  }

  async #watch(): Promise<string> {
    const { process } = this.found
    do {
      await this.#connection().catch((error: unknown) => {
        if (!this.#released && this.alive) this.#log.warn({ vm: this.vm, err: error }, 'no connection to the machine')
      })
      this.qmp = null
      this.agent?.close()
      this.agent = null
    } while (!this.#released && !(await waitForEnd(process, reconnectAfterMs)))
    this.#connected.reject(problems.monitorSilent('any more: it ended'))
    return this.#released ? 'released' : this.#reason()
  }

  /** Fulfils when the connection is over. */
  async #connection(): Promise<void> {
    const { qmp: qmpPath, agent: agentPath } = this.found.folder
    const agent = GuestAgent.connect(agentPath).catch(() => null)
    this.qmp = await Qmp.connect(qmpPath, event => this.#onEvent(event), greetingLimitMs)
    this.agent = await agent
    await this.#settle(this.qmp)
    this.#connected.resolve()
    if (this.#released) this.release()
    void this.#continue() // an earlier server may have seen it pause
    await this.qmp.closed
  }

  /** What an earlier server had begun with it is ended: a machine whose memory was being saved may stand still. A child of ours had none. */
  async #settle(qmp: Qmp): Promise<void> {
    if (this.#isSettled || this.found.ended) return
    this.#isSettled = true
    await goOn(qmp).catch((error: unknown) =>
      this.#log.warn({ vm: this.vm, err: error }, 'the machine may stand still'),
    )
    void wakeIfMarked(this)
  }

  #onEvent(heard: QmpEvent): void {
    const { event, data } = heard
    for (const listener of this.#listeners) listener(heard)
    if (event === 'SHUTDOWN') this.#lastShutdown = String(data['reason'])
    if (event === 'GUEST_PANICKED') this.#log.warn({ vm: this.vm }, 'the guest panicked')
    if (event !== 'BLOCK_IO_ERROR') return
    const { device, operation, reason, nospace, action } = data
    this.#log.error({ vm: this.vm, device, operation, reason, nospace, action }, 'a disk of the machine failed')
    if (nospace === true && action === 'stop') this.#continueLater()
  }

  /** QEMU paused the machine instead of failing a write into a full pool: it goes on, unharmed, when there is space again. */
  async #continue(): Promise<void> {
    try {
      const answer = await this.qmp?.execute('query-status')
      if (answer?.status !== 'io-error') return
      this.#continueLater()
      await this.qmp?.execute('cont')
    } catch (error) {
      if (!this.#released && this.alive) this.#log.warn({ vm: this.vm, err: error }, 'still paused')
    }
  }

  #continueLater(): void {
    if (this.#released) return
    this.#retry ??= setTimeout(() => {
      this.#retry = null
      void this.#continue()
    }, fullRetryMs).unref()
  }

  async #reason(): Promise<string> {
    const { pid } = this.found.process
    if (this.#lastShutdown === 'guest-shutdown') return 'the guest shut down'
    if (this.#lastShutdown === 'guest-panic') return 'the guest panicked'
    const ended = await this.found.ended?.catch(() => null)
    if (ended?.signal) return `the process ${pid} ended by signal ${ended.signal}`
    if (this.#lastShutdown) return `the process ${pid} ended (${this.#lastShutdown})`
    return ended ? `the process ${pid} ended with code ${ended.code}` : `the process ${pid} ended`
  }
}
