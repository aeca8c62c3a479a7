// A merge in a machine that runs. Other calls for the machine do not wait for the copying: a stop ends the process and so the merge,
// which is repeated on the files then.
import { nodeName } from './blockdev.ts'
import { flush } from '../machines/cut.ts'
import type { Machine } from '../machines/machine.ts'
import { problems } from '../problems.ts'
import type { Qmp } from '../process/qmp.ts'
import { beginMerge, type Stream } from './stream-job.ts'

/** False when it was done before: the process knows none of the lower layers any more. */
export async function beginLiveMerge(machine: Machine, stream: Stream): Promise<boolean> {
  const qmp = await machine.monitor()
  const { deviceId, into } = stream
  const names = await nodeNames(qmp)
  if (!names.has(nodeName(deviceId, into))) throw problems.diskNotThere(deviceId)
  if (leftOf(stream, names).length === 0) return false
  await beginMerge(qmp, stream)
  return true
}

/** The lower layers may only go when the child's tables are on the disk: QEMU keeps them in its memory until somebody flushes. */
export async function finishLiveMerge(machine: Machine, stream: Stream): Promise<void> {
  const qmp = await machine.monitor()
  const { deviceId, into } = stream
  const said = await qmp.execute('human-monitor-command', {
    'command-line': `qemu-io ${nodeName(deviceId, into)} flush`,
  })
  if (said.trim() !== '') throw problems.mergeFailed(said.trim())
  await flush(into)
  for (const name of leftOf(stream, await nodeNames(qmp))) await qmp.execute('blockdev-del', { 'node-name': name })
}

async function nodeNames(qmp: Qmp): Promise<Set<string>> {
  return new Set((await qmp.execute('query-named-block-nodes', { flat: true })).map(node => node['node-name']))
}

/** From the top down: QEMU keeps a node that another stands on. */
function leftOf({ deviceId, between }: Stream, names: ReadonlySet<string>): string[] {
  return between.map(layer => nodeName(deviceId, layer)).filter(name => names.has(name))
}
