// Stands in for a driver that cannot be reached: every call is refused with the reason, so that jobs on its machines fail with a clear
// sentence, or wait to be tried again, and everything else goes on.
import type { Problem } from '@ramet/core/problem.ts'
import type { Driver } from './driver.ts'
import type { Forest } from './forest.ts'

export function silentDriver(like: Pick<Driver, 'hypervisor' | 'capabilities'>, reason: () => Problem): Driver {
  const refuse = async (): Promise<never> => {
    throw reason()
  }
  const forest: Forest = {
    inventory: refuse,
    adopt: refuse,
    disown: refuse,
    fork: refuse,
    spawn: refuse,
    instant: refuse,
    tidy: refuse,
    shorten: refuse,
    start: refuse,
    revert: refuse,
    prune: refuse,
    seed: refuse,
    unseed: refuse,
    flatten: refuse,
    devices: {
      plug: refuse,
      unplug: refuse,
      makeDisk: refuse,
      attachDisk: refuse,
      detachDisk: refuse,
      growDisk: refuse,
      discardDisk: refuse,
    },
    disks: refuse,
    snapshots: refuse,
    onInventoryChange: () => () => {},
    onTask: () => () => {},
  }
  return {
    ...like,
    hosts: { facts: refuse, memory: refuse },
    pools: { prepare: refuse, space: refuse, release: refuse },
    images: { inspect: refuse },
    layers: {
      seed: refuse,
      fork: refuse,
      copy: refuse,
      graft: refuse,
      blank: refuse,
      resize: refuse,
      export: refuse,
      merge: refuse,
      facts: refuse,
      discard: refuse,
      list: refuse,
    },
    memory: { facts: refuse, fits: refuse, discard: refuse, list: refuse },
    networks: {
      ensure: refuse,
      remove: refuse,
      list: refuse,
      release: refuse,
      setDefault: refuse,
      forward: refuse,
      unforward: refuse,
      forwards: refuse,
    },
    forest,
    machines: {
      start: refuse,
      replace: refuse,
      stop: refuse,
      attachDisk: refuse,
      detachDisk: refuse,
      attachNic: refuse,
      detachNic: refuse,
      growDisk: refuse,
      migrate: refuse,
      activeLayers: refuse,
      cut: refuse,
      freeze: refuse,
      pullInheritedNics: refuse,
      customize: refuse,
      merge: refuse,
      getVmSnapshotConfigs: refuse,
      setClock: refuse,
      changeMedium: refuse,
      discard: refuse,
      facts: refuse,
      list: refuse,
      heldMemory: refuse,
      consoleLog: refuse,
      adopt: refuse,
    },
    onPowerChange: () => () => {},
    close: async () => {},
  }
}
