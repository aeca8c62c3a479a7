// Clones of machines as they are, on a simulated vCenter: instant ones, for which a source that runs leaves a file behind on each disk; and
// forks, snapshots that linked clones stand on and that are no VM snapshots.
import { identityProblems } from '@ramet/core/identity.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Following, ForkNode, Forest, ForestMachine, MachineNode, ShortenFacts } from '../forest.ts'
import { networksOf, without, withSnapshot } from './forest.ts'
import { allDisks, demandKept, type Kept, keptAs, put, standingOn } from './kept.ts'
import { diskFacts, ownFiles, stackedOn } from './kept-disks.ts'
import { demandHost, emptyKept, type Vcenter } from './vcenter.ts'
import { machineFacts } from './vcenter-machines.ts'

export function simulatedClones(vcenter: Vcenter): Pick<Forest, 'instant' | 'shorten' | 'tidy'> {
  const { world, id, call, tasks, hostIds } = vcenter
  const factsOf = ({ vm }: ForestMachine, source: Kept) => ({
    ...machineFacts(vcenter, vm),
    disks: demandKept(world, id, vm).disks.map(diskFacts),
    isOfFrozen: source.isFrozen ?? false,
    unconfirmed: [identityProblems.insideGuest],
  })
  return {
    instant: async ({ machine, from }, following) => {
      await call('forest.instant', 0, following.signal)
      hostIds.set(machine.host.name, machine.host.id)
      if (!keptAs(world, id, machine.vm))
        await tasks.copy('InstantClone_Task', machine.vm, following, () => split(vcenter, machine, from))
      return factsOf(machine, demandKept(world, id, from.id))
    },
    shorten: async (vm, _operation, following) => {
      await call('forest.shorten', 0, following.signal)
      const kept = demandKept(world, id, vm)
      const left = new Set(
        [...ownFiles(kept, kept.disks)].filter(file => !kept.disks.some(disk => disk.files.at(-1) === file)),
      )
      const told = (way: ShortenFacts['way']) => ({ way, disks: demandKept(world, id, vm).disks.map(diskFacts) })
      if (left.size === 0 || kept.snapshots.length > 0) return told(null)
      if (standingOn(world, kept, left) !== undefined) {
        const disks = kept.disks.map(disk => ({ ...disk, files: disk.files.slice(-1) }))
        await tasks.copy('PromoteDisks_Task', vm, following, () => put(world, { ...kept, disks }))
        return told('promote')
      }
      const disks = kept.disks.map(disk => ({ ...disk, files: disk.files.filter(file => !left.has(file)) }))
      await tasks.copy('ConsolidateVMDisks_Task', vm, following, () => put(world, { ...kept, disks }))
      return told('merge')
    },
    tidy: async (vm, following) => {
      await call('forest.tidy', 0, following.signal)
      const forks = keptAs(world, id, vm)?.snapshots.filter(({ isFork }) => isFork) ?? []
      let gone = 0
      for (const { key } of forks) {
        const kept = demandKept(world, id, vm)
        const fork = kept.snapshots.find(each => each.key === key)
        const files = new Set(fork?.disks.flatMap(disk => disk.files.at(-1) ?? []))
        if (!fork || standingOn(world, kept, files) !== undefined) continue
        await tasks.copy('RemoveSnapshot_Task', vm, following, () => put(world, without(kept, fork)))
        gone++
      }
      return gone
    },
  }
}

/** What linked clones stand on, taken when the first of them is made. */
export async function takeFork({ world, id, tasks }: Vcenter, { id: fork, vm }: ForkNode, following: Following) {
  const isThere = () => demandKept(world, id, vm).snapshots.some(each => each.id === fork)
  if (isThere()) return
  await tasks.copy('CreateSnapshot_Task', vm, following, () => {
    if (isThere()) return // another clone was first
    const held = withSnapshot(demandKept(world, id, vm), fork, 'ramet-fork', false)
    const snapshots = held.snapshots.map(each => (each.id === fork ? { ...each, isFork: true } : each))
    put(world, { ...held, snapshots })
  })
}

/** The source goes on in new files; one that stands still has none to write. */
function split(vcenter: Vcenter, { vm, name, host, plugs }: ForestMachine, { id: source }: MachineNode): void {
  const { world, id } = vcenter
  demandHost(vcenter, host)
  const kept = demandKept(world, id, source)
  if (kept.power === 'off') throw new Problem('refused', 'vsphere-wrong-state', `${kept.name} does not run`)
  const owner = { vcenter: id, name }
  const { cpus, memoryMib, memory } = kept
  const clone = { ...emptyKept, ...owner, foreign: `vm-${vm}@${id}`, as: { vm }, cpus, memoryMib, memory }
  const disks = kept.disks.map(disk => stackedOn(owner, disk))
  put(world, { ...clone, power: 'on', host: host.id, networks: networksOf(vcenter, { plugs }), disks })
  if (!kept.isFrozen) put(world, { ...kept, disks: kept.disks.map(disk => stackedOn(kept, disk, allDisks(kept))) })
}
