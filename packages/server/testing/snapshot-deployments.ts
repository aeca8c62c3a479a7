// Machines made from VM snapshots, for tests: to bring them about, and to look at what they stand on.
import assert from 'node:assert/strict'
import { newId, type JobId, type LayerId, type StoragePoolId, type VmId, type VmSnapshotId } from '@ramet/core/ids.ts'
import type { Answer } from '../api/command.ts'
import { contentOf } from '../drivers/simulated/snapshots.ts'
import { volumesOf } from '../store/volumes.ts'
import { vmById } from '../store/vms.ts'
import { call, callJob, type Given } from './call.ts'
import { aTwoDiskMachine, revert, take, write } from './vm-snapshots.ts'
import { aMachine, aRemotePool } from './volumes.ts'
import type { Lab } from './lab.ts'

/** What the tests say of `lab`, which is there when the first of them runs. */
export function snapshotDeployments(lab: () => Lab) {
  const row = async (vm: VmId) => {
    const machine = await vmById(lab().app.db, vm)
    assert.ok(machine)
    return machine
  }
  const rootOf = async (vm: VmId) => {
    const [root] = await volumesOf(lab().app.db, vm)
    assert.ok(root?.layer_id)
    return { ...root, layer_id: root.layer_id }
  }
  const parentOf = async (layer: LayerId) =>
    (await lab().app.db.selectFrom('layer').select('parent_id').where('id', '=', layer).executeTakeFirstOrThrow())
      .parent_id
  const layerOf = async (snapshot: VmSnapshotId) =>
    (
      await lab()
        .app.db.selectFrom('vm_snapshot_disk')
        .select('layer_id')
        .where('snapshot_id', '=', snapshot)
        .where('device_id', '=', 0)
        .executeTakeFirstOrThrow()
    ).layer_id
  const seedsOf = (snapshot: VmSnapshotId) =>
    lab().app.db.selectFrom('vmsnapshot_spool_ref').selectAll().where('vm_snapshot_id', '=', snapshot).execute()
  const setMode = (value: string, pool?: StoragePoolId) =>
    call(lab(), 'updateConfiguration', { name: 'vmsnapshot.deploy.mode', value, ...(pool && { storageid: pool }) })
  const offeringOf = async (name: string) =>
    (await lab().app.db.selectFrom('service_offering').select('id').where('name', '=', name).executeTakeFirstOrThrow())
      .id

  async function deploy(vmsnapshotid: VmSnapshotId, given: Given = {}): Promise<VmId> {
    const { virtualmachine, errortext } = await callJob(lab(), 'deployVirtualMachine', { vmsnapshotid, ...given })
    assert.ok(virtualmachine, String(errortext))
    return (virtualmachine as { id: VmId }).id
  }
  /** Begins one; answers the machine and the job. */
  async function begin(vmsnapshotid: VmSnapshotId, given: Given = {}): Promise<{ vm: VmId; job: JobId }> {
    const { id, jobid } = await call(lab(), 'deployVirtualMachine', { vmsnapshotid, ...given })
    return { vm: id as VmId, job: jobid as JobId }
  }
  const copies = () => lab().world.calls.filter(name => name === 'layers.copy').length
  const destroy = (id: VmId) => callJob(lab(), 'destroyVirtualMachine', { id, expunge: true })
  const contents = async (vm: VmId) => contentOf(lab().world, (await rootOf(vm)).layer_id)[0]

  /** A-(B, C), the machine running on C. */
  async function aTree() {
    const vm = await aTwoDiskMachine(lab())
    write(lab(), vm, 'a')
    const A = await take(lab(), vm, 'A', { snapshotmemory: true })
    write(lab(), vm, 'b')
    const B = await take(lab(), vm, 'B')
    await revert(lab(), A)
    write(lab(), vm, 'c')
    const C = await take(lab(), vm, 'C')
    write(lab(), vm, 'later')
    return { vm, A, B, C }
  }
  /** A machine with one snapshot. */
  async function aSnapshot() {
    const { vm } = await aMachine(lab(), 'Running')
    const snapshot = await take(lab(), vm, 'one')
    return { vm, snapshot }
  }
  async function slowly<T>(name: string, ms: number, act: () => Promise<T>): Promise<T> {
    lab().world.delays.set(name, ms)
    return act().finally(() => lab().world.delays.delete(name))
  }

  /** What deleting it would do with each layer. */
  async function stepsOf(vmsnapshotid: VmSnapshotId): Promise<Record<string, string>> {
    const { plan } = await call(lab(), 'deleteVMSnapshot', { vmsnapshotid, dryrun: true })
    const { steps } = plan as { steps: { layer: string; operation: string }[] }
    return Object.fromEntries(steps.map(({ layer, operation }) => [layer, operation]))
  }

  async function aSnapshotOf(vm: VmId) {
    return { vm, snapshot: await take(lab(), vm, newId()) }
  }

  /** A host of another cluster, with a storage of its own. */
  async function aFarHost() {
    const { db } = lab().app
    const pool = await aRemotePool(lab())
    const { cluster_id } = await db
      .selectFrom('storage_pool')
      .select('cluster_id')
      .where('id', '=', pool)
      .executeTakeFirstOrThrow()
    const like = await db.selectFrom('host').selectAll().executeTakeFirstOrThrow()
    const host = newId<'host'>()
    await db
      .insertInto('host')
      .values({ ...like, id: host, name: host, cluster_id })
      .execute()
    return { host, cluster: cluster_id }
  }

  async function outcome(name: string, given: Given): Promise<Answer> {
    try {
      return await callJob(lab(), name, given)
    } catch (error) {
      return { errortext: (error as Error).message }
    }
  }

  /** Refused by the call itself, before anything is written down. */
  async function refused(snapshot: VmSnapshotId, given: Given, kind: string, message: RegExp): Promise<void> {
    const count = async () => (await lab().app.db.selectFrom('vm').select('id').execute()).length
    const earlier = await count()
    await assert.rejects(call(lab(), 'deployVirtualMachine', { vmsnapshotid: snapshot, ...given }), error => {
      const { kind: is, message: text } = error as { kind: string; message: string }
      assert.match(text, message)
      assert.equal(is, kind, text)
      return true
    })
    assert.equal(await count(), earlier)
  }

  /** A second storage of the first one's hosts, on which nothing is placed by itself. */
  async function aPoolBeside(): Promise<StoragePoolId> {
    const like = await lab().app.db.selectFrom('storage_pool').selectAll().orderBy('created').executeTakeFirstOrThrow()
    const id = newId<'storage-pool'>()
    await lab()
      .app.db.insertInto('storage_pool')
      .values({ ...like, id, name: id, path: `/${id}`, total_bytes: 2 ** 36, free_bytes: 2 ** 36, created: new Date() })
      .execute()
    return id
  }

  return {
    row,
    rootOf,
    parentOf,
    layerOf,
    seedsOf,
    setMode,
    offeringOf,
    deploy,
    begin,
    copies,
    destroy,
    contents,
    aTree,
    aSnapshot,
    slowly,
    stepsOf,
    aSnapshotOf,
    aFarHost,
    outcome,
    refused,
    aPoolBeside,
  }
}
