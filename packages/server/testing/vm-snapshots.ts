// VM snapshots for tests: machines with two disks in the simulated world, what their guests write, and trees of snapshots.
import assert from 'node:assert/strict'
import { newId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import { attachVolume } from '../jobs/attach-volume.ts'
import { contentOf, writeDisk, writeMemory } from '../drivers/simulated/snapshots.ts'
import { stopVm } from '../jobs/stop-vm.ts'
import { volumesOf } from '../store/volumes.ts'
import type { Answer } from '../api/command.ts'
import { call, callJob, type Given, listed } from './call.ts'
import { type Lab, stateOf } from './lab.ts'
import { aMachine, aVolume, done } from './volumes.ts'

/** A machine with a root and a data disk. */
export async function aTwoDiskMachine(lab: Lab, state: 'Running' | 'Stopped' = 'Running'): Promise<VmId> {
  const { vm } = await aMachine(lab, 'Running')
  await done(lab, attachVolume, { volume: await aVolume(lab), vm, deviceId: null, layer: newId<'layer'>() })
  if (state === 'Stopped') await done(lab, stopVm, { vm, forced: true })
  return vm
}

/** The guest writes `text` on both disks and keeps it in mind. */
export function write(lab: Lab, vm: VmId, text: string): void {
  for (const place of [0, 1]) writeDisk(lab.world, vm, place, 0, text)
  writeMemory(lab.world, vm, text)
}

/** What a guest finds on each disk, whether the machine runs or not. */
export async function found(lab: Lab, vm: VmId): Promise<(string | undefined)[]> {
  const volumes = await volumesOf(lab.app.db, vm)
  const running = lab.world.machines.get(vm)
  return volumes.map(({ layer_id, device_id }) => {
    const written = running?.power === 'on' ? running.disks[device_id ?? 0] : layer_id
    if (running?.power === 'on') assert.equal(written, layer_id, 'the record and the process write different layers')
    return contentOf(lab.world, written ?? null)[0]
  })
}

export function inMind(lab: Lab, vm: VmId): string | undefined {
  return lab.world.machines.get(vm)?.memory
}

/** Takes one by the API; fails where the API refuses. */
export async function take(lab: Lab, vm: VmId, name: string, given: Given = {}): Promise<VmSnapshotId> {
  const { vmsnapshot, errortext } = await callJob(lab, 'createVMSnapshot', { virtualmachineid: vm, name, ...given })
  assert.ok(vmsnapshot, String(errortext))
  return (vmsnapshot as { id: VmSnapshotId }).id
}

export async function revert(lab: Lab, id: VmSnapshotId, given: Given = {}): Promise<void> {
  const { virtualmachine, errortext } = await callJob(lab, 'revertToVMSnapshot', { vmsnapshotid: id, ...given })
  assert.ok(virtualmachine, String(errortext))
}

export async function remove(lab: Lab, id: VmSnapshotId): Promise<void> {
  assert.equal((await callJob(lab, 'deleteVMSnapshot', { vmsnapshotid: id }))['success'], true)
}

export const snapshotsOf = (lab: Lab, vm: VmId, given: Given = {}) =>
  listed(lab, 'listVMSnapshot', { virtualmachineid: vm, ...given })

/** PARENT > NAME for each, with a star behind the current one. */
export async function tree(lab: Lab, vm: VmId): Promise<string[]> {
  const nameOf = (value: unknown) => (typeof value === 'string' ? value : '')
  return (await snapshotsOf(lab, vm))
    .map(each => `${nameOf(each['parentName'])} > ${nameOf(each['displayname'])}${each['current'] ? ' *' : ''}`)
    .toSorted()
}

export const mixed = { A: false, B: true, C: false }

/** The tree A-(B, C), with memory or without, of a machine that runs. */
export async function aTree(lab: Lab, memory: Readonly<Record<'A' | 'B' | 'C', boolean>>) {
  const vm = await aTwoDiskMachine(lab)
  write(lab, vm, 'a')
  const A = await take(lab, vm, 'A', { snapshotmemory: memory.A })
  write(lab, vm, 'b')
  const B = await take(lab, vm, 'B', { snapshotmemory: memory.B })
  await revert(lab, A)
  if ((await stateOf(lab, vm)) === 'Stopped') await start(lab, vm)
  write(lab, vm, 'c')
  const C = await take(lab, vm, 'C', { snapshotmemory: memory.C })
  write(lab, vm, 'later')
  return { vm, A, B, C }
}

export const stop = (lab: Lab, vm: VmId) => done(lab, stopVm, { vm, forced: true })
export const start = (lab: Lab, id: VmId) => callJob(lab, 'startVirtualMachine', { id })

export const setting = (lab: Lab, name: string, value: string | number | boolean) =>
  call(lab, 'updateConfiguration', { name, value })

/** What the call is refused with; its answer where it is not. */
export async function refusal(lab: Lab, name: string, given: Given): Promise<Answer> {
  try {
    return await callJob(lab, name, given)
  } catch (error) {
    const { code, kind, message } = error as { code: string; kind: string; message: string }
    return { code, kind, errortext: message }
  }
}
