// VM snapshots of vSphere: a tree in the machine, whose disks the server keeps itself. Names are not unique there, so ours is the id,
// kept in the description; a snapshot of somebody else's has none.
import { isUnknown, tasksEnd } from './make-once.ts'
import { problems, telling } from './problems.ts'
import { settled } from './settled.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Data, Ref } from './vim25/schema.ts'

export type SnapshotRef = Ref<'VirtualMachineSnapshot'>
type MachineRef = Ref<'VirtualMachine'>

export interface SnapshotNode {
  readonly ref: SnapshotRef
  /** Our id; null for one that was made by somebody else. */
  readonly id: string | null
  /** The instant that linked clones stand on, and no VM snapshot. */
  readonly isFork: boolean
  /** Our name for the last revert to it that was begun. */
  readonly revert: string | null
  readonly name: string
  readonly parent: SnapshotRef | null
  /** Does the machine's state stand on it? */
  readonly current: boolean
  /** Does it bring back a machine that runs? */
  readonly withMemory: boolean
  readonly createdAt: string
}

export interface SnapshotWish {
  readonly id: string
  readonly name: string
  readonly memory: boolean
  readonly quiesce: boolean
  readonly isFork?: boolean
}

const mark = 'ramet-snapshot'
const forkMark = 'ramet-fork'

/** The snapshots of a machine, parents before children. */
export function snapshotTree(info: Data<'VirtualMachineSnapshotInfo'> | undefined): SnapshotNode[] {
  const visit = (tree: Data<'VirtualMachineSnapshotTree'>, parent: SnapshotRef | null): SnapshotNode[] => {
    const ref = tree.snapshot as SnapshotRef
    const [first = '', id, revert] = tree.description.split(' ')
    const isOurs = first === mark || first === forkMark
    const node: SnapshotNode = {
      ref,
      id: (isOurs ? id : undefined) ?? null,
      isFork: first === forkMark,
      revert: (first === mark ? revert : undefined) ?? null,
      name: tree.name,
      parent,
      current: info?.currentSnapshot === ref,
      withMemory: tree.state !== 'poweredOff',
      createdAt: tree.createTime,
    }
    return [node, ...(tree.childSnapshotList ?? []).flatMap(child => visit(child, ref))]
  }
  return (info?.rootSnapshotList ?? []).flatMap(tree => visit(tree, null))
}

export async function readSnapshots({ connection }: Vcenter, vm: MachineRef): Promise<SnapshotNode[]> {
  const { snapshot } = await readObject(connection, vm, ['snapshot'])
  return snapshotTree(snapshot)
}

/** What stands in place of our id; a server leaves a description as it is when it is told none. */
const nobodys = 'base of linked clones'

/** Writes our id into a snapshot of somebody else's; null takes it out again. */
export async function describeSnapshot(
  vcenter: Vcenter,
  snapshot: SnapshotRef,
  id: string | null,
  revert?: string,
): Promise<void> {
  const ours = [mark, id, ...(revert === undefined ? [] : [revert])].join(' ')
  await vcenter.call(snapshot, 'RenameSnapshot', { description: id === null ? nobodys : ours })
}

/** Takes a snapshot, once: one that has the id already is the answer. */
export function takeSnapshot(
  vcenter: Vcenter,
  vm: MachineRef,
  wish: SnapshotWish,
  options?: RunOptions,
): Promise<SnapshotNode> {
  return telling(wish.name, async () => {
    const find = async () => (await readSnapshots(vcenter, vm)).find(({ id }) => id === wish.id)
    const made = await find()
    if (made) return made
    const { name, memory, quiesce, id, isFork } = wish
    const description = `${isFork ? forkMark : mark} ${id}`
    const parameters = { name, description, memory, quiesce: quiesce && !memory }
    await unlessUnknown(
      vcenter,
      vm,
      () => vcenter.run(vm, 'CreateSnapshot_Task', parameters, options),
      async () => (await find()) !== undefined,
    )
    const found = await settled(find, each => each !== undefined, `${name} is not among the snapshots`)
    return found ?? raise(problems.notReached(`${name} is not among the snapshots`))
  })
}

/** Removes one snapshot, or with all that stand on it; one that is not there is removed. Merges what must be merged. */
export function removeSnapshot(
  vcenter: Vcenter,
  vm: MachineRef,
  snapshot: SnapshotRef,
  withChildren: boolean,
  options?: RunOptions,
): Promise<void> {
  return telling('The VM snapshot', async () => {
    const isGone = async () => (await readSnapshots(vcenter, vm)).every(({ ref }) => ref !== snapshot)
    if (!(await isGone())) {
      const parameters = { removeChildren: withChildren, consolidate: true }
      await unlessUnknown(vcenter, vm, () => vcenter.run(snapshot, 'RemoveSnapshot_Task', parameters, options), isGone)
      await settled(isGone, Boolean, 'the snapshot is there')
    }
    await consolidate(vcenter, vm, options)
  })
}

export function removeAllSnapshots(vcenter: Vcenter, vm: MachineRef, options?: RunOptions): Promise<void> {
  return telling('The machine', async () => {
    const areGone = async () => (await readSnapshots(vcenter, vm)).length === 0
    if (!(await areGone()))
      await unlessUnknown(
        vcenter,
        vm,
        () => vcenter.run(vm, 'RemoveAllSnapshots_Task', { consolidate: true }, options),
        areGone,
      )
    await settled(areGone, Boolean, 'there are snapshots')
    await consolidate(vcenter, vm, options)
  })
}

/** Merges delta files that no snapshot needs, where the server says that there are such. */
export async function consolidate(vcenter: Vcenter, vm: MachineRef, options?: RunOptions): Promise<boolean> {
  const read = () => readObject(vcenter.connection, vm, ['runtime.consolidationNeeded'])
  const { 'runtime.consolidationNeeded': needed } = await read()
  if (needed !== true) return false
  await vcenter.run(vm, 'ConsolidateVMDisks_Task', {}, options)
  await settled(read, each => each['runtime.consolidationNeeded'] !== true, 'disks are to be consolidated')
  return true
}

/** Runs `act`; where nobody knows how it ended, waits until the machine has no task left, and asks whether it was done. */
export async function unlessUnknown(
  vcenter: Vcenter,
  vm: MachineRef,
  act: () => Promise<unknown>,
  isDone: () => Promise<boolean>,
): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!isUnknown(error)) throw error
    await tasksEnd(vcenter, vm)
    if (!(await isDone())) throw error
  }
}

function raise(error: unknown): never {
  throw error
}
