// Steps that several machine jobs share: taking a host, running, stopping. Each is one step object, used by name in the
// recipes beside this file.
import type { HostId, Id, StoragePoolId, VmId } from '@ramet/core/ids.ts'
import { type Affinity, type Demand, place, type Placement } from '@ramet/core/placement.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { MachineFacts } from '../drivers/driver.ts'
import { affinitiesOf } from '../store/affinity.ts'
import {
  type Factors,
  holdCapacity,
  holdAllHostRooms,
  holdHostRoom,
  hostRooms,
  poolRooms,
  roomiestHosts,
} from '../store/capacity.ts'
import type { Tx } from '../store/database.ts'
import { demandPoolServesDisks } from '../store/pools.ts'
import { demandAction, holdVm, moveVm, setVm } from '../store/vms.ts'
import { volumesOf } from '../store/volumes.ts'
import type { Settings } from '../settings.ts'
import { nothing, type RecordContext, type StepContext } from './define-job.ts'
import { forestMachine } from './forest-machine.ts'
import { machineSpec } from './machine-spec.ts'

interface OnVm {
  readonly vm: VmId
}

/** Where an administrator wants the machine. */
export interface Where {
  readonly host?: HostId | undefined
  readonly cluster?: Id<'cluster'> | undefined
  readonly pod?: Id<'pod'> | undefined
}

export function placementFactors(settings: Settings): Factors {
  return {
    cpu: settings.number('cpu.overprovisioning.factor'),
    reservePercent: settings.number('pool.storage.reserve.percent'),
  }
}

type Place = Exclude<Placement, { refusal: string }>

/**
 * Chooses a host and a pool, and holds the host's room until the transaction ends, or throws `no-capacity` with every reason.
 * Placements at the same time spread over hosts; only where all that fit are held do they wait for each other.
 */
export async function choosePlace(
  tx: Tx,
  settings: Settings,
  vm: VmId,
  asked: Omit<Demand, 'affinities' | 'hypervisor'>,
): Promise<Place> {
  const factors = placementFactors(settings)
  const bound = await tx.selectFrom('vm').select(['hypervisor', 'cluster_id']).where('id', '=', vm).executeTakeFirst()
  const where = { hypervisor: bound?.hypervisor, cluster: bound?.cluster_id ?? asked.cluster }
  const demand = { ...asked, ...where, affinities: await affinitiesHeld(tx, vm) }
  const pools = await poolRooms(tx, factors)
  const hosts = await roomiestHosts(tx, factors, demand)
  for (const wait of [false, true])
    for (let left = hosts; left.length > 0; ) {
      const placement = place(left, pools, demand)
      if ('refusal' in placement) break
      if (await holdHostRoom(tx, factors, placement.host.id, demand, wait)) return placement
      left = left.filter(host => host !== placement.host)
    }
  await holdAllHostRooms(tx)
  return demandPlace(place(await hostRooms(tx, factors, demand), pools, demand))
}

/** Machines of one group are placed one after the other, each when it is known where the others are. */
async function affinitiesHeld(tx: Tx, vm: VmId): Promise<Affinity[]> {
  const affinities = await affinitiesOf(tx, vm)
  if (affinities.length === 0) return []
  await holdCapacity(tx)
  return affinitiesOf(tx, vm)
}

function demandPlace(placement: Placement): Place {
  if ('refusal' in placement)
    throw new Problem(
      'no-capacity',
      'no-capacity',
      `No room for the machine: ${placement.refusal}. Stop or remove machines, or add capacity`,
    )
  return placement
}

/** Stopped → Starting on a host that has room and reaches the machine's disks. */
export const takeHost = {
  do: async ({ tx, input, settings }: RecordContext<OnVm & Where, object>): Promise<{ host: HostId }> => {
    const vm = await holdVm(tx, input.vm)
    demandAction(vm, 'start')
    const [root, ...data] = await volumesOf(tx, vm.id)
    const pool = root?.pool_id as StoragePoolId | undefined
    const { host } = await choosePlace(tx, settings, vm.id, {
      cpus: vm.cpus,
      memoryMib: vm.memory_mib,
      diskBytes: new Map(),
      zone: vm.zone_id,
      host: input.host,
      cluster: input.cluster,
      pod: input.pod,
      pool,
    })
    const others = new Set(data.flatMap(({ pool_id }) => (pool_id && pool_id !== pool ? [pool_id] : [])))
    for (const each of others) await demandPoolServesDisks(tx, each)
    await moveVm(tx, vm.id, 'StartRequested', { host_id: host.id, last_host_id: host.id, error: null })
    return { host: host.id }
  },
  undo: async ({ tx, input }: RecordContext<OnVm, object>) => {
    await moveVm(tx, input.vm, 'OperationFailed', { host_id: null })
  },
}

/** The machine's process. */
export const runMachine = {
  do: async ({ db, driver, settings, input, signal }: StepContext<OnVm, object>): Promise<MachineFacts> =>
    driver.forest
      ? driver.forest.start(await forestMachine(db, input.vm), signal)
      : driver.machines.start(await machineSpec(db, input.vm, settings.flag('guest.network.outward'))),
  undo: async ({ driver, input, signal }: StepContext<OnVm, object>) => driver.machines.stop(input.vm, 0, signal),
}

/** Starting → Running, with what the driver told about the process. */
export async function noteRunning({ tx, input }: RecordContext<OnVm, object>, facts: MachineFacts): Promise<void> {
  await moveVm(tx, input.vm, 'OperationSucceeded')
  await notePorts(tx, facts)
}

export async function notePorts(tx: Tx, { sshPorts }: Pick<MachineFacts, 'sshPorts'>): Promise<void> {
  for (const [nic, port] of Object.entries(sshPorts))
    await tx
      .updateTable('nic')
      .set({ ssh_port: port })
      .where('id', '=', nic as never)
      .execute()
}

/** Running → Stopping; a machine that is off already stays Stopped. */
export const beginStop = {
  do: async ({ tx, input }: RecordContext<OnVm, object>) => {
    const vm = await holdVm(tx, input.vm)
    demandAction(vm, 'stop')
    await moveVm(tx, vm.id, 'StopRequested')
  },
  undo: async ({ tx, input, driver }: RecordContext<OnVm, object>) => {
    const { power } = await driver.machines.facts(input.vm)
    const vm = await holdVm(tx, input.vm)
    if (vm.state !== 'Stopping') return
    if (power === 'on') await moveVm(tx, vm.id, 'OperationFailed')
    else await moveVm(tx, vm.id, 'OperationSucceeded', { host_id: null })
  },
}

export const stopMachine = {
  do: async ({ driver, settings, input, signal }: StepContext<OnVm & { forced: boolean }, object>) => {
    const graceMs = input.forced ? 0 : 1000 * settings.number('vm.stop.wait')
    await driver.machines.stop(input.vm, graceMs, signal)
  },
  undo: nothing('power that was cut stays cut; the step before looks at what the machine does'),
}

/** Stopping → Stopped: its host has room again. */
export const noteStopped = {
  do: async ({ tx, input }: RecordContext<OnVm, object>) => {
    const vm = await holdVm(tx, input.vm)
    if (vm.state === 'Stopping') await moveVm(tx, vm.id, 'OperationSucceeded')
    await setVm(tx, vm.id, { host_id: null })
  },
  undo: nothing('the machine is off, and its record says so'),
}
