// Tasks of a simulated vCenter: each is told of at its start and at its end, with a number, as a vCenter's are.
import type { VmId } from '@ramet/core/ids.ts'
import type { Following, ForeignTask } from '../forest.ts'
import { copying } from './layers.ts'
import type { World } from './world.ts'

export interface VcenterTasks {
  /** What it changes, it changes at its end. */
  run<T>(name: string, vm: VmId | null, act: () => T | Promise<T>): Promise<T>
  /** The same for one that copies disks. */
  copy<T>(name: string, vm: VmId | null, following: Following, act: () => T): Promise<T>
  listen(listener: (task: ForeignTask) => void): () => void
}

export function vcenterTasks(world: World): VcenterTasks {
  const listeners = new Set<(task: ForeignTask) => void>()
  let count = 0

  async function run<T>(name: string, vm: VmId | null, act: () => T | Promise<T>): Promise<T> {
    const id = `task-${++count}`
    const tell = (outcome: string | null) => listeners.forEach(each => each({ id, name, vm, outcome }))
    tell(null)
    try {
      const result = await act()
      tell('success')
      return result
    } catch (error) {
      tell(error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  return {
    run,
    copy: (name, vm, { progress, signal }, act) =>
      run(name, vm, async () => {
        await copying(world, progress, signal)
        return act()
      }),
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
