// Forks: snapshots of ours that linked clones of a machine stand on, taken when the first of them is made. Nobody else sees them, and they go
// when nothing stands on them.
import type { ForkNode } from '../forest.ts'
import type { Node, Nodes } from './nodes.ts'
import type { MachineRef } from './ours.ts'
import { type SnapshotNode, readSnapshots, removeSnapshot, takeSnapshot } from './snapshots.ts'
import { frozenFiles, standingOn } from './standing-on.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'

/** Snapshots stand one upon the other, and there are 32 levels: so before one more is taken, forks that are of no use go. */
const manyForks = 8

/** One at a time for each machine: who comes second finds what the first has taken. */
const underWay = new WeakMap<Vcenter, Map<MachineRef, Promise<unknown>>>()

export async function takeFork(
  vcenter: Vcenter,
  nodes: Nodes,
  source: MachineRef,
  { id }: ForkNode,
  options: RunOptions,
): Promise<Node> {
  const turns = underWay.get(vcenter) ?? new Map<MachineRef, Promise<unknown>>()
  underWay.set(vcenter, turns)
  const before = turns.get(source)
  const turn = (async () => {
    await before?.catch(() => {}) // it was another's
    return await take(vcenter, nodes, source, id, options)
  })()
  turns.set(source, turn)
  try {
    const node = await turn
    return { source, snapshot: node.ref, node }
  } finally {
    if (turns.get(source) === turn) turns.delete(source)
  }
}

async function take(
  vcenter: Vcenter,
  nodes: Nodes,
  vm: MachineRef,
  id: string,
  options: RunOptions,
): Promise<SnapshotNode> {
  const forks = await forksOf(vcenter, vm)
  if (forks.length >= manyForks && !forks.some(each => each.id === id)) await tidyForks(vcenter, nodes, vm, options)
  return await takeSnapshot(
    vcenter,
    vm,
    { id, name: 'ramet-fork', memory: false, quiesce: false, isFork: true },
    options,
  )
}

async function forksOf(vcenter: Vcenter, vm: MachineRef): Promise<SnapshotNode[]> {
  return (await readSnapshots(vcenter, vm)).filter(({ isFork }) => isFork)
}

/** Removes the forks that nothing stands on. Answers how many went. */
export async function tidyForks(vcenter: Vcenter, nodes: Nodes, vm: MachineRef, options: RunOptions): Promise<number> {
  let gone = 0
  for (const node of await forksOf(vcenter, vm)) {
    const { disks } = await nodes.facts({ source: vm, snapshot: node.ref, node })
    if ((await standingOn(vcenter, vm, frozenFiles(disks))) !== null) continue
    await removeSnapshot(vcenter, vm, node.ref, false, options)
    gone++
  }
  return gone
}
