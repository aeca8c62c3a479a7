// Clones for tests: to make them by the API, and to look at what they have of their source.
import assert from 'node:assert/strict'
import type { VmId } from '@ramet/core/ids.ts'
import type { Answer } from '../api/command.ts'
import { volumesOf } from '../store/volumes.ts'
import { watchForks } from '../watch/forks.ts'
import { callJob, type Given } from './call.ts'
import { type Lab, quiet } from './lab.ts'

/** The clones, one or several, as the result of the call shows them. */
export async function cloned(lab: Lab, given: Given): Promise<(Answer & { id: VmId })[]> {
  const { virtualmachine, errortext } = await callJob(lab, 'cloneVirtualMachine', given)
  assert.ok(virtualmachine, String(errortext))
  return [virtualmachine].flat() as (Answer & { id: VmId })[]
}

export async function aClone(lab: Lab, source: VmId, clonetype: 'full' | 'linked' | 'instant', given: Given = {}) {
  const [clone] = await cloned(lab, { virtualmachineid: source, clonetype, ...given })
  assert.ok(clone)
  return clone.id
}

/** With its data volumes. */
export async function expunge(lab: Lab, id: VmId): Promise<void> {
  const [, ...data] = await volumesOf(lab.app.db, id)
  const volumes = data.length > 0 ? { volumeids: data.map(volume => volume.id).join(',') } : {}
  const asked = { id, expunge: true, ...volumes }
  const { success, virtualmachine, errortext } = await callJob(lab, 'destroyVirtualMachine', asked)
  assert.ok(success ?? virtualmachine, String(errortext))
}

/** Looks for what nobody needs, as the server does now and then, until nothing is left to do. */
export async function swept(lab: Lab): Promise<void> {
  const { jobs } = lab.app
  const watch = watchForks(lab.app, jobs)
  await quiet(lab)
  await watch.sweep()
  watch.close()
  await quiet(lab)
}

/** What is left of forks, and how many layers and memory images there are, recorded and real. */
export async function leftovers(lab: Lab) {
  const { db } = lab.app
  const count = async (table: 'fork' | 'fork_disk' | 'memory_image' | 'layer') =>
    (await db.selectFrom(table).selectAll().execute()).length
  return {
    forks: await count('fork'),
    forkDisks: await count('fork_disk'),
    images: [await count('memory_image'), lab.world.memory.size],
    layers: [await count('layer'), lab.world.layers.size],
  }
}
