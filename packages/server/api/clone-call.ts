// What cloneVirtualMachine asks for besides its source: names, networks, what is inherited, and room on the host, judged before anything is
// written; and what its result shows.
import { hostNameRefusal } from '@ramet/core/names.ts'
import type { NetworkId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { CloneVms } from '../jobs/clone-vms.ts'
import { countedMemory } from '../jobs/run-clone.ts'
import { hostRooms } from '../store/capacity.ts'
import { placementFactors } from '../jobs/vm-steps.ts'
import type { Tx } from '../store/database.ts'
import type { NewVm } from '../store/new-vm.ts'
import type { Row } from '../store/tables.ts'
import { lineagesOf, listedVms } from '../store/vm-list.ts'
import { nicsOf } from '../store/vms.ts'
import type { Caller } from './caller.ts'
import { chosenNics } from './chosen-nics.ts'
import type { CloneSource } from './clone-source.ts'
import type { JobResult } from './command.ts'
import { demandFreeName } from './deployment.ts'
import { invalid } from './parameters.ts'
import { virtualMachineView, type VmOnWire } from './views/virtual-machine.ts'
import { vmOfJob } from './vm-call.ts'

/** NAME for one clone, NAME-1 to NAME-n for several; undefined where the call names none. */
export function namesOfClones(name: string | undefined, count: number): (string | undefined)[] {
  const names = Array.from({ length: count }, (_, at) => (name && count > 1 ? `${name}-${at + 1}` : name))
  for (const each of names) {
    const refusal = each ? hostNameRefusal(each) : null
    if (refusal) throw invalid('name', `${refusal}; the clones would be named ${names[0]} to ${names.at(-1)}`)
  }
  return names
}

/** In one order everywhere: of two calls that want the same names, none waits for the other in a circle. */
export async function demandFreeNames(
  tx: Tx,
  owner: Row<'account'>,
  names: readonly (string | undefined)[],
): Promise<void> {
  const inOrder = names.toSorted((a = '', b = '') => (a < b ? -1 : 1))
  for (const name of inOrder) await demandFreeName(tx, owner, name)
}

/** What a clone has of its source. A guest that goes on has it in its memory too. */
export async function inheritedBy({ db }: App, { vm, isInstant }: CloneSource) {
  const keys = await db
    .selectFrom('vm_ssh_key_pair')
    .select(['name', 'public_key'])
    .where('vm_id', '=', vm.id)
    .execute()
  const fields: Partial<NewVm['vm']> = {
    user_data: vm.user_data,
    os_type_id: vm.os_type_id,
    details: JSON.stringify(vm.details),
    ...(isInstant && { password_hash: vm.password_hash, customized: false }),
  }
  return { keys, fields }
}

/** New cards in the networks asked for, or in those of the source. */
export async function nicsOfClone(
  app: App,
  caller: Caller,
  owner: Row<'account'>,
  { vm, source }: CloneSource,
  asked: readonly NetworkId[],
): Promise<NewVm['nics']> {
  const cards = (await nicsOf(app.db, vm.id)).toSorted((a, b) => Number(b.is_default) - Number(a.is_default))
  if (asked.length === 0 && cards.length === 0) return []
  const inherited = source.zone.network_type === 'Basic' ? [] : cards.map(({ network_id }) => network_id)
  const networkids = asked.length > 0 ? [...asked] : [...new Set(inherited)]
  return chosenNics(app, caller, owner, source, { networkids })
}

/** Throws where the host of the source has no room for all of them, before any is begun. */
export async function demandHostRoom(app: App, { vm, source }: CloneSource, count: number): Promise<void> {
  const id = vm.host_id ?? vm.last_host_id
  const rooms = await hostRooms(app.db, placementFactors(app.settings), vm)
  const room = rooms.find(each => each.id === id)
  if (!id || !room) return
  const each = countedMemory(app.settings, { memory_mib: source.sizes.memoryMib })
  const free = Math.min(room.memoryFreeMib, await freeOf(app, vm, { id, name: room.name }))
  const fit = Math.min(Math.floor(free / each), Math.floor(room.cpuFree / source.sizes.cpus))
  if (fit >= count) return
  throw new Problem(
    'no-capacity',
    'no-capacity',
    `Host ${room.name} of ${vm.name} has room for ${Math.max(0, fit)} of ${count} instant clones: ${free} MiB and ${room.cpuFree} vCPUs are free, and each counts ${each} MiB (instantclone.memory.percent) and ${source.sizes.cpus} vCPUs. Ask for fewer, or stop machines there`,
  )
}

/** MiB that the host really has, whatever was promised to whom. */
async function freeOf(
  app: App,
  { cluster_id }: CloneSource['vm'],
  host: Parameters<App['hostMemory']>[0],
): Promise<number> {
  const { availableBytes } = await app.hostMemory(host, cluster_id)
  return Math.floor(availableBytes / 2 ** 20)
}

/** One machine, or several: as they are when the result is asked for. */
export const clonesResult: JobResult<VmOnWire> = {
  view: virtualMachineView,
  async read(app, job) {
    if (job.kind !== 'clone-vms') return vmOfJob(app, job)
    const { clones }: Pick<CloneVms, 'clones'> = job.input as CloneVms
    const ids = clones.map(({ vm }) => vm)
    const found = await listedVms(app.db, ids, false)
    const inOrder = ids.flatMap(id => found.find(vm => vm.id === id && !vm.removed) ?? [])
    const lineages = await lineagesOf(
      app.db,
      inOrder.flatMap(({ root_layer_id }) => root_layer_id ?? []),
    )
    return inOrder.map(vm => ({ ...vm, lineage: vm.root_layer_id ? lineages.get(vm.root_layer_id) : undefined }))
  },
}
