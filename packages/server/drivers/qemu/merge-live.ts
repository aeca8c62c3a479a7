// A merge in a machine that runs. Other calls for the machine do not wait for the copying: a stop ends the process and so the merge,
// which is repeated on the files then.
import type { DiskSpec, LayerRef } from '../driver.ts'
import { nodeName } from './blockdev.ts'
import { flush } from './cut.ts'
import type { Machine } from './machine.ts'
import { problems } from './problems.ts'
import { beginMerge, type Merge } from './stream-job.ts'

export function mergeOf({ deviceId, chain }: DiskSpec, from: LayerRef, into: LayerRef): Merge {
  const at = chain.findIndex(({ id }) => id === into.id)
  if (at < 1 || chain[at - 1]?.id !== from.id) throw problems.notBelow(from.id, into.id)
  return { deviceId, from, into, below: chain[at - 2] ?? null }
}

/** False when it was done before: the process knows the lower layer no more. */
export async function beginLiveMerge(machine: Machine, merge: Merge): Promise<boolean> {
  const qmp = await machine.monitor()
  const names = new Set((await qmp.execute('query-named-block-nodes', { flat: true })).map(node => node['node-name']))
  if (!names.has(nodeName(merge.deviceId, merge.into))) throw problems.diskNotThere(merge.deviceId)
  if (!names.has(nodeName(merge.deviceId, merge.from))) return false
  await beginMerge(qmp, merge)
  return true
}

/** The lower layer may only go when the child's tables are on the disk: QEMU keeps them in its memory until somebody flushes. */
export async function finishLiveMerge(machine: Machine, { deviceId, from, into }: Merge): Promise<void> {
  const qmp = await machine.monitor()
  const said = await qmp.execute('human-monitor-command', {
    'command-line': `qemu-io ${nodeName(deviceId, into)} flush`,
  })
  if (said.trim() !== '') throw problems.mergeFailed(said.trim())
  await flush(into)
  await qmp.execute('blockdev-del', { 'node-name': nodeName(deviceId, from) })
}
