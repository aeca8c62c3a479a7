// Machines of ours that go on or off by themselves, or by somebody's hand, told once each. What we do to them ourselves is no news.
import type { VmId } from '@ramet/core/ids.ts'
import type { Power, PowerChange } from '../driver.ts'
import type { Change, Inventory } from './inventory.ts'
import type { MachineRef, Ours } from './ours.ts'
import { asPower } from './power.ts'

export class PowerWatch {
  readonly #inventory: Inventory
  readonly #ours: Ours
  readonly #read: (vm: MachineRef) => Promise<Power>
  readonly #listeners = new Set<(change: PowerChange) => void>()
  readonly #told = new Map<MachineRef, Power>()
  /** How many acts of ours on it are under way. */
  readonly #busy = new Map<MachineRef, number>()

  constructor(inventory: Inventory, ours: Ours, read: (vm: MachineRef) => Promise<Power>) {
    this.#inventory = inventory
    this.#ours = ours
    this.#read = read
    for (const [ref] of inventory.all('VirtualMachine')) this.#told.set(ref, this.#pushed(ref))
    inventory.onChange(changes => this.#heed(changes))
  }

  listen(listener: (change: PowerChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Does something to the machine that may change its power; what it is afterwards is known, and not told. */
  async during<T>(vm: MachineRef, act: () => Promise<T>): Promise<T> {
    this.#busy.set(vm, (this.#busy.get(vm) ?? 0) + 1)
    try {
      return await act()
    } finally {
      await this.#read(vm).then(
        power => this.#told.set(vm, power),
        () => this.#told.delete(vm),
      )
      const left = (this.#busy.get(vm) ?? 1) - 1
      if (left > 0) this.#busy.set(vm, left)
      else this.#busy.delete(vm)
    }
  }

  #pushed(vm: MachineRef): Power {
    return asPower(this.#inventory.get(vm)?.['runtime.powerState'])
  }

  #heed(changes: readonly Change[]): void {
    for (const { ref, change } of changes) {
      if (!ref.startsWith('VirtualMachine:')) continue
      const vm = ref as MachineRef
      if (change === 'came' && !this.#told.has(vm)) this.#told.set(vm, this.#pushed(vm))
      else if (change === 'went') this.#tellEnd(vm)
      else if (!this.#busy.has(vm) && this.#pushed(vm) !== this.#told.get(vm)) void this.#settle(vm)
    }
  }

  /** What was pushed may be older than what we did since: so it is asked for now. */
  async #settle(vm: MachineRef): Promise<void> {
    await this.#ours.learn().catch(() => {}) // it is looked at again with the next change
    const id = this.#ours.vmOf(vm)
    const power = await this.#read(vm).catch(() => this.#pushed(vm))
    if (this.#busy.has(vm) || power === this.#told.get(vm)) return
    this.#told.set(vm, power)
    if (id) this.#tell(id, power, `vSphere shows it powered ${power}`)
  }

  #tellEnd(vm: MachineRef): void {
    const id = this.#ours.vmOf(vm)
    const was = this.#told.get(vm)
    this.#told.delete(vm)
    if (id && was === 'on' && !this.#busy.has(vm)) this.#tell(id, 'off', 'vSphere no longer has it')
  }

  #tell(vm: VmId, power: Power, reason: string): void {
    for (const each of this.#listeners) each({ vm, power, reason })
  }
}
