// What a driver has in place of layers, where the hypervisor keeps its own disks: every call is refused, with the reason.
import { Problem } from '@ramet/core/problem.ts'
import type { Driver } from './driver.ts'

type Layered = Pick<Driver, 'layers' | 'memory' | 'images'>
type LayeredMachines = Pick<
  Driver['machines'],
  | 'start'
  | 'replace'
  | 'attachDisk'
  | 'detachDisk'
  | 'attachNic'
  | 'detachNic'
  | 'growDisk'
  | 'activeLayers'
  | 'cut'
  | 'freeze'
  | 'pullInheritedNics'
  | 'merge'
  | 'customize'
>

async function refuse(): Promise<never> {
  throw new Problem('unsupported', 'own-disks', 'The hypervisor keeps its own disks, and cannot do this with them')
}

/** `images` too: it is for files that the server has, and these hypervisors take none. */
export const noLayers: Layered = {
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
    list: async () => [],
  },
  memory: { facts: refuse, fits: refuse, discard: refuse, list: async () => [] },
}

export const noLayeredMachines: LayeredMachines = {
  start: refuse,
  replace: refuse,
  attachDisk: refuse,
  detachDisk: refuse,
  attachNic: refuse,
  detachNic: refuse,
  growDisk: refuse,
  activeLayers: refuse,
  cut: refuse,
  freeze: refuse,
  pullInheritedNics: refuse,
  merge: refuse,
  customize: refuse,
}
