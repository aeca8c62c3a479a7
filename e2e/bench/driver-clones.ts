// Instant clones of a frozen guest by the driver alone: no records, no database, no API before them.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '@ramet/core/ids.ts'
import type { MachineSpec, MemoryImageRef } from '@ramet/server/drivers/driver.ts'
import { GuestAgent } from '@ramet/server/drivers/qemu/guest/guest-agent.ts'
import { machineFolder, ramDirectory } from '@ramet/server/drivers/qemu/machines/machine-folder.ts'
import { argumentsWhere } from './bare-qemu.ts'
import { untilBooted } from './clone-source.ts'
import { SnapshotLab } from './snapshot-guest.ts'

const never = new AbortController().signal
const answerLimitMs = 60_000

export class FrozenGuest {
  readonly #lab: SnapshotLab
  readonly #runDirectory: string
  readonly #spec: MachineSpec
  readonly #memory: MemoryImageRef
  /** How its process was started, while it ran. */
  readonly args: readonly string[]

  private constructor(
    lab: SnapshotLab,
    runDirectory: string,
    spec: MachineSpec,
    memory: MemoryImageRef,
    args: readonly string[],
  ) {
    this.#lab = lab
    this.#runDirectory = runDirectory
    this.#spec = spec
    this.#memory = memory
    this.args = args
  }

  /** `whileItRuns` gets its arguments before it is frozen. */
  static async open(
    folder: string,
    memoryMib: number,
    whileItRuns: (args: readonly string[]) => Promise<void> = async () => {},
  ): Promise<FrozenGuest> {
    const lab = await SnapshotLab.open(folder)
    const guest = await lab.guest(memoryMib, null, false)
    await guest.say(untilBooted)
    const args = await argumentsWhere(each => each.includes(guest.vm))
    await whileItRuns(args)
    const memory = guest.image()
    await lab.driver.machines.freeze(guest.vm, memory, () => {}, never)
    return new FrozenGuest(
      lab,
      join(folder, 'vms'),
      { ...guest.spec, disks: guest.disks as unknown as MachineSpec['disks'] },
      memory,
      args,
    )
  }

  /** From the request to running CPUs, disks and all. */
  async clone(): Promise<MachineSpec> {
    const grown = this.#spec.disks.map(async disk => ({ ...disk, chain: await this.#lab.fork(disk.chain) }))
    const spec = {
      ...this.#spec,
      vm: newId<'vm'>(),
      generationId: globalThis.crypto.randomUUID(),
      disks: (await Promise.all(grown)) as unknown as MachineSpec['disks'],
      memory: this.#memory,
      isClone: true,
    }
    await this.#lab.driver.machines.start(spec)
    return spec
  }

  /**
   * When the guest's agent has answered each of them, by performance.now(). An agent has one line, which the driver holds, so
   * that it lets go of all machines meanwhile.
   */
  async answered(clones: readonly MachineSpec[]): Promise<number> {
    let at = Number.NaN
    await this.#lab.withoutDriver(async () => {
      const agents = await Promise.all(
        clones.map(({ vm }) => GuestAgent.connect(machineFolder(this.#runDirectory, vm).agent)),
      )
      const answers = await Promise.all(agents.map(agent => agent.ping(answerLimitMs)))
      at = performance.now()
      for (const agent of agents) agent.close()
      if (answers.includes(false)) throw new Error('a guest does not answer')
    })
    return at
  }

  recordOf({ vm }: MachineSpec): string {
    return machineFolder(this.#runDirectory, vm).record
  }

  async remove({ vm, disks }: MachineSpec): Promise<void> {
    await this.#lab.driver.machines.stop(vm, 0, never)
    await this.#lab.driver.machines.discard(vm)
    for (const { chain } of disks) await this.#lab.driver.layers.discard(chain.at(-1)!)
  }

  async close(): Promise<void> {
    await this.#lab.driver.memory.discard(this.#memory)
    await this.#lab.driver.machines.discard(this.#spec.vm)
    await this.#lab.close()
    await rm(ramDirectory(this.#runDirectory), { recursive: true, force: true })
  }
}
