// The simulated cloud as the server opens it: a driver over a world that is kept in the data directory, and that follows the
// settings simulated.* as they change.
import type { Driver } from '../driver.ts'
import type { Opener } from '../drivers.ts'
import { type BehaviourSettings, behaviourOf } from './behaviour.ts'
import { simulatedDriver } from './driver.ts'
import { journalIn, keepWorld } from './journal.ts'
import { simulatedOpener } from './vcenter.ts'
import { behave, type World } from './world.ts'

export interface Simulator {
  readonly driver: Driver
  /** Of clusters beside it whose hypervisor keeps its own disks. */
  readonly opener: Opener
  /** From here on the world behaves as the settings say. */
  heed(settings: BehaviourSettings): void
}

export async function openSimulator(dataDir: string): Promise<Simulator> {
  const { world, close } = await keepWorld(journalIn(dataDir))
  return simulatorOf(world, close)
}

export function simulatorOf(world: World, close: () => void = () => {}): Simulator {
  return {
    opener: simulatedOpener(world),
    driver: { ...simulatedDriver(world), close: async () => close() },
    heed: settings => behave(world, behaviourOf(settings)),
  }
}
