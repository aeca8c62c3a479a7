// Volumes and templates of snapshots hold what the disk held at that instant, byte by byte: compared by checksum with the disks of a
// machine that is off, whose disks the test writes as its guest would.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { diagnose } from '@ramet/server/doctor/main.ts'
import { Cloud, type Fields, list, type World } from './world.ts'

const run = promisify(execFile)

type Disk = 'ROOT' | 'DATADISK'

describe('volumes and templates of snapshots, on real disks', { timeout: 300_000 }, () => {
  let cloud: Cloud
  let vm: string
  const volumes: Partial<Record<Disk, string>> = {}
  const snapshots: Record<string, string> = {}
  const sums: Record<string, Record<Disk, string>> = {}
  const made: { readonly id: string; readonly sum: string }[] = []

  before(async () => {
    cloud = await Cloud.open()
    const image = join(cloud.folder, 'image.qcow2')
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, '64M'])
    await writeAt(image, 0, 'template')
    const { id } = await world().registerTemplate(image, { passwordenabled: false })
    const [offering] = await list(world().client, 'listDiskOfferings', 'diskoffering', { name: 'Custom' })
    const disk = { diskofferingid: offering?.['id'] as string, size: 1 }
    const machine = await world().deploy(id, 'source', 'linked', { ...disk, startvm: false })
    vm = machine.id
    for (const each of await list(world().client, 'listVolumes', 'volume', { virtualmachineid: vm }))
      volumes[each['type'] as Disk] = each['id'] as string
  })
  after(() => cloud?.close())

  const world = (): World => cloud.world
  const fileOf = async (volume: string | undefined) => {
    const [found] = await list(world().client, 'listVolumes', 'volume', { id: volume as string })
    return join(cloud.dataDir, 'primary/layers', `${String(found?.['path'])}.qcow2`)
  }

  /** What differs by `mark` and by place. */
  async function writeAt(file: string, mib: number, mark: string): Promise<void> {
    const pattern = createHash('sha256').update(`${mark} ${mib}`).digest()[0] as number
    await run('qemu-io', ['-f', 'qcow2', '-c', `write -P ${pattern} ${mib}M 1M`, file])
  }

  /** Of the first 64 MiB, in which all is that was ever written. */
  async function sumOf(file: string): Promise<string> {
    const raw = join(cloud.folder, 'raw')
    const hash = createHash('sha256')
    await run('qemu-img', ['dd', '-f', 'qcow2', '-O', 'raw', 'bs=1M', 'count=64', `if=${file}`, `of=${raw}`])
    await pipeline(createReadStream(raw), hash)
    await rm(raw)
    return hash.digest('hex')
  }

  /** Writes both disks and takes a VM snapshot of them, named after what was written. */
  async function takeAfterWriting(mark: string): Promise<void> {
    const each = {} as Record<Disk, string>
    for (const [index, disk] of (['ROOT', 'DATADISK'] as const).entries()) {
      const file = await fileOf(volumes[disk])
      await writeAt(file, 3, `${mark} ${disk}`)
      await writeAt(file, 8 + mark.charCodeAt(0) - 97 + index, mark)
      each[disk] = await sumOf(file)
    }
    sums[mark] = each
    snapshots[mark] = (await world().takeSnapshot({ id: vm }, mark, false))['id'] as string
  }

  async function make(given: Record<string, string>): Promise<Fields> {
    return (await world().client.run('createVolume', given))['volume'] as Fields
  }

  async function check(volume: Fields, sum: string): Promise<void> {
    const id = volume['id'] as string
    assert.equal(volume['state'], 'Ready')
    assert.equal(await sumOf(await fileOf(id)), sum)
    made.push({ id, sum })
  }

  test('each node of A-(B, C) gives its root and its data disk, linked and full', async () => {
    await takeAfterWriting('a')
    await takeAfterWriting('b')
    await world().revert(snapshots['a'] as string)
    await takeAfterWriting('c')
    for (const disk of ['ROOT', 'DATADISK'] as const) await writeAt(await fileOf(volumes[disk]), 3, 'later')
    assert.equal(new Set(Object.values(sums).flatMap(each => Object.values(each))).size, 6)
    for (const [mark, vmsnapshotid] of Object.entries(snapshots))
      for (const disk of ['ROOT', 'DATADISK'] as const)
        for (const clonetype of ['linked', 'full']) {
          const volume = await make({ vmsnapshotid, volumeid: volumes[disk] as string, clonetype })
          assert.equal(volume['size'], disk === 'ROOT' ? 64 * 2 ** 20 : 2 ** 30)
          await check(volume, sums[mark]?.[disk] as string)
        }
  })

  test('a snapshot on secondary storage gives its disk, as it was or larger', async () => {
    const given = { vmsnapshotid: snapshots['b'] as string, volumeid: volumes.ROOT as string }
    const { snapshot } = await world().client.run('createSnapshotFromVMSnapshot', given)
    const snapshotid = (snapshot as Fields)['id'] as string
    await check(await make({ snapshotid }), sums['b']?.ROOT as string)
    const larger = await make({ snapshotid, size: '1' })
    assert.equal(larger['size'], 2 ** 30)
  })

  test('a node becomes a template, whose machines have the root disk of then', async () => {
    const asked = { name: 'of-c', vmsnapshotid: snapshots['c'] as string }
    const { template } = await world().client.run('createTemplate', asked)
    const { id } = await world().deploy((template as Fields)['id'] as string, 'of-c', 'full', { startvm: false })
    const [root] = await list(world().client, 'listVolumes', 'volume', { virtualmachineid: id })
    assert.equal(await sumOf(await fileOf(root?.['id'] as string)), sums['c']?.ROOT)
  })

  test('volumes keep their content when the snapshots and the machine are gone', async () => {
    for (const mark of ['a', 'c', 'b']) await world().deleteSnapshot(snapshots[mark] as string)
    await world().expunge({ id: vm })
    await world().quiet()
    for (const { id, sum } of made) assert.equal(await sumOf(await fileOf(id)), sum)
    assert.deepEqual(await diagnose(cloud.dataDir), [])
  })
})
