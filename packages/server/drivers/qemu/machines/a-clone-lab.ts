// For tests: guests that are cut, cloned and frozen, on one network.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@ramet/core/ids.ts'
import { aCard, aNetwork } from '../../contract-networks.ts'
import { anOwner } from '../../contract.ts'
import type { Cut, DiskSpec, Driver, LayerChain, LayerRef, MachineSpec, MemoryImageRef } from '../../driver.ts'
import { aQemuDriver, type QemuUnderTest } from '../a-driver.ts'
import { aTinyMachine, answers, inGuest, untilAnswers } from '../guest/a-tiny.ts'

const never = new AbortController().signal
const quiet = () => {}
const dataBytes = 64 * 2 ** 20
export const network = aNetwork()

export class Guest {
  spec: MachineSpec
  port: number
  readonly #key: string

  constructor(key: string, spec: MachineSpec, port: number) {
    this.#key = key
    this.spec = spec
    this.port = port
  }

  async said(command: string): Promise<string> {
    return (await inGuest(this.#key, this.port, command)).trim()
  }
}

export class CloneLab {
  readonly made: QemuUnderTest
  readonly driver: Driver
  readonly key: string
  #lastAddress = 10

  constructor(made: QemuUnderTest, key: string) {
    this.made = made
    this.driver = made.driver
    this.key = key
  }

  /** With a running guest that has an empty data disk, and says random numbers on its serial console all the time. */
  static async open(): Promise<{ lab: CloneLab; source: Guest }> {
    const made = await aQemuDriver()
    const machine = await aTinyMachine(made)
    const lab = new CloneLab(made, machine.key)
    const data = lab.#layer()
    await made.driver.layers.blank(data, dataBytes, anOwner)
    const disks = [...machine.spec.disks, { deviceId: 1, chain: [data] }] as unknown as MachineSpec['disks']
    const source = await lab.started({ ...machine.spec, disks, nics: [aCard(network, { address: '10.1.1.10' })] })
    await untilAnswers(source.port)
    const loop = 'while :; do echo random $(head -c 32 /dev/urandom | md5sum) > /dev/ttyS0; sleep 0.2; done'
    await source.said(`(${loop}) >/dev/null 2>&1 &`)
    return { lab, source }
  }

  memory(): MemoryImageRef {
    return { pool: this.made.pool, id: newId<'memory-image'>() }
  }

  #layer(): LayerRef {
    return { pool: this.made.pool, id: newId<'layer'>() }
  }

  async started(spec: MachineSpec): Promise<Guest> {
    const { sshPorts } = await this.driver.machines.start(spec)
    const port = Object.values(sshPorts)[0] ?? 0
    return new Guest(this.key, { ...spec, nics: spec.nics.map(nic => ({ ...nic, sshPort: port })) }, port)
  }

  async cut(guest: Guest, about: Partial<Cut> = {}) {
    const { spec } = guest
    const [image, disks] = [this.memory(), await this.grown(spec.disks)]
    const pairs = spec.disks.map((disk, index) => ({ disk, layer: disks[index]!.chain.at(-1)! }))
    const wanted = { memory: image, inHostMemory: true, machine: spec, quiesce: false, ...about }
    const cut = { ...wanted, disks: pairs as unknown as Cut['disks'] }
    const facts = await this.driver.machines.cut(spec.vm, cut, quiet, never)
    guest.spec = { ...spec, disks }
    return { image, facts }
  }

  /** Its own card is not plugged in yet. `isAwaited`: a process has waited for it. */
  async clone(of: Guest, disks: MachineSpec['disks'], memory: MemoryImageRef, isAwaited = false): Promise<Guest> {
    const address = `10.1.1.${(this.#lastAddress += 1)}`
    const spec: MachineSpec = {
      ...of.spec,
      vm: newId<'vm'>(),
      generationId: globalThis.crypto.randomUUID(),
      disks: await this.grown(disks),
      nics: [aCard(network, { address })],
      memory,
      isClone: true,
    }
    if (isAwaited) await this.driver.warm!.prepare({ ...spec, name: '', nics: [] })
    assert.equal(this.driver.warm!.waiting().has(spec.vm), isAwaited)
    const { sshPorts } = await this.driver.machines.start(spec)
    assert.deepEqual(sshPorts, {})
    return new Guest(this.key, spec, 0)
  }

  async pluggedIn(clone: Guest): Promise<void> {
    const [nic] = clone.spec.nics
    for (const _ of ['first', 'again']) await this.driver.machines.pullInheritedNics(clone.spec.vm, never)
    const { sshPorts } = await this.driver.machines.attachNic(clone.spec.vm, nic!, 'a-clone')
    clone.port = sshPorts[nic!.id]!
    while (!(await answers(clone.port))) await sleep(100)
  }

  async grown(from: readonly DiskSpec[]): Promise<MachineSpec['disks']> {
    const disks = from.map(async disk => {
      const layer = this.#layer()
      const facts = await this.driver.layers.facts(disk.chain.at(-1)!)
      await this.driver.layers.fork(layer, disk.chain, facts!.virtualBytes, anOwner)
      return { ...disk, chain: [...disk.chain, layer] as unknown as LayerChain }
    })
    return (await Promise.all(disks)) as unknown as MachineSpec['disks']
  }

  /** What a clone said second: the first may have been drawn before the cut. */
  async randomOf({ spec }: Guest): Promise<string> {
    for (;;) {
      const text = (await this.driver.machines.consoleLog(spec.vm, 4096)).toString()
      const lines = [...text.matchAll(/random ([0-9a-f]{32})/g)]
      if (lines[1]) return lines[1][1]!
      await sleep(50)
    }
  }

  async removed({ spec }: Guest): Promise<void> {
    await this.driver.machines.stop(spec.vm, 0, never)
    await this.driver.machines.discard(spec.vm)
  }
}
