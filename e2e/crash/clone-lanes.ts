// The lanes of jobs on clones and their sources.
import { eventually } from '@ramet/server/testing/eventually.ts'
import { argumentsWhere } from '../bench/bare-qemu.ts'
import { type Fields, type World } from '../world.ts'
import type { Lane } from './lanes.ts'
import { machine } from './snapshot-lanes.ts'

/** By its name: nobody but the kernel tells of it. */
async function processWaits(): Promise<void> {
  await eventually('a process waits for a clone', () =>
    argumentsWhere(args => args.some(word => word.endsWith(',process=ramet-waiting'))).catch(() => null),
  )
}

let count = 0
const name = () => `clone-${++count}`

const clone = (world: World, virtualmachineid: string, clonetype: string, more: Record<string, number> = {}) => ({
  begin: () => world.client.call('cloneVirtualMachine', { virtualmachineid, clonetype, name: name(), ...more }),
  async made() {
    const asked = { virtualmachineid, clonetype, name: name() }
    const { virtualmachine } = await world.client.run('cloneVirtualMachine', asked)
    return (virtualmachine as Fields)['id'] as string
  },
})

export const cloneLanes: readonly Lane[] = [
  {
    kind: 'fork-vm',
    inEveryRun: /machines\.cut/,
    failAt: 'publish/done/before',
    arrange: (world, image) => machine(world, image, [], (at, { vm }) => clone(at, vm, 'instant').begin()),
  },
  {
    kind: 'deploy-vm',
    case: 'an instant clone',
    points: /\/(reserve-disks|make-disks|run|publish|wait|end)\//,
    failAt: 'publish/done/before',
    arrange: (world, image) => machine(world, image, [], (at, { vm }) => clone(at, vm, 'instant').begin()),
  },
  {
    kind: 'deploy-vm',
    case: 'an instant clone that a process waits for',
    points: /\/run\//,
    inEveryRun: /\/run\//,
    failAt: 'publish/done/before',
    arrange: (world, image) =>
      machine(
        world,
        image,
        [],
        (at, { vm }) => clone(at, vm, 'instant').begin(),
        async ({ vm }) => {
          await world.client.run('freezeVirtualMachine', { id: vm })
          const made = await clone(world, vm, 'instant').made()
          await processWaits()
          return made
        },
      ),
  },
  {
    kind: 'clone-vms',
    simulated: true,
    arrange: (world, image) => machine(world, image, [], (at, { vm }) => clone(at, vm, 'linked', { count: 2 }).begin()),
  },
  {
    kind: 'change-cards',
    simulated: true,
    arrange: (world, image) => machine(world, image, [], (at, { vm }) => clone(at, vm, 'instant').begin()),
  },
  {
    kind: 'freeze-vm',
    inEveryRun: /machines\.freeze/,
    failAt: 'publish/done/before',
    arrange: (world, image) =>
      machine(world, image, [], (at, { vm }) => at.client.call('freezeVirtualMachine', { id: vm })),
  },
  {
    kind: 'unfreeze-vm',
    failAt: 'finish/done/before',
    arrange: (world, image) =>
      machine(
        world,
        image,
        [],
        (at, { vm }) => at.client.call('unfreezeVirtualMachine', { id: vm }),
        async ({ vm }) => {
          await world.client.run('freezeVirtualMachine', { id: vm })
          return ''
        },
      ),
  },
  {
    kind: 'remove-memory',
    simulated: true,
    arrange: (world, image) =>
      machine(
        world,
        image,
        [],
        (at, { vm }) => at.client.call('destroyVirtualMachine', { id: vm, expunge: true }),
        async ({ vm }) => {
          await world.client.run('freezeVirtualMachine', { id: vm })
          return ''
        },
      ),
  },
]
