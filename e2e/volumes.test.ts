// Volumes under real guests, a linked and a full clone: what the API says of a disk, what the guests see of it, and that the bytes
// are the same wherever it went. The tests tell one story in order.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { Cloud, type DeployOptions, type Fields, list, type Machine, type World } from './world.ts'

const run = promisify(execFile)
const gib = 2 ** 30

describe('volumes', { timeout: 600_000 }, () => {
  let cloud: Cloud
  let linked: Machine
  let full: Machine
  let offering: string
  let data: string
  let sum: string

  const world = (): World => cloud.world
  const job = async (command: string, given: DeployOptions) =>
    (await world().client.run(command, given))['volume'] as Fields
  const volumeOf = async (id: string) => (await list(world().client, 'listVolumes', 'volume', { id }))[0] as Fields
  const rootOf = async ({ id }: Machine) =>
    (await list(world().client, 'listVolumes', 'volume', { virtualmachineid: id, type: 'ROOT' }))[0] as Fields

  /** The volume's device in the guest, found by its serial number. */
  const deviceIn = (machine: Machine, volume: string) =>
    eventually('the guest sees the disk', async () => {
      const serial = volume.replaceAll('-', '').slice(0, 20)
      const found = await world().ssh(machine, `grep -l ${serial} /sys/block/*/serial || true`)
      return found.trim().split('/')[3] || null
    })
  const bytesIn = async (machine: Machine, device: string) =>
    Number(await world().ssh(machine, `cat /sys/block/${device}/size`)) * 512
  const sumIn = async (machine: Machine, volume: string) => {
    const device = await deviceIn(machine, volume)
    return (await world().ssh(machine, `dd if=/dev/${device} bs=1M count=8 2>/dev/null | sha256sum`)).split(' ')[0]
  }
  const layerFile = async (id: string, pool = 'primary') => {
    const { path } = await volumeOf(id)
    return join(pool.startsWith('/') ? pool : join(cloud.dataDir, pool), 'layers', `${String(path)}.qcow2`)
  }

  before(async () => {
    const { file } = await buildTiny({ directory: imageCache() })
    cloud = await Cloud.open()
    const template = (await world().registerTemplate(file)).id
    ;[linked, full] = await Promise.all([
      world().deploy(template, 'linked', 'linked'),
      world().deploy(template, 'full', 'full'),
    ])
    const offerings = await list(world().client, 'listDiskOfferings', 'diskoffering')
    offering = offerings.find(each => each['iscustomized'])?.['id'] as string
    await Promise.all([linked, full].map(each => world().awaitSsh(each)))
  })
  after(() => cloud?.close())

  test('a new volume has no storage until a running machine gets it, whose guest sees it at once', async () => {
    const made = await job('createVolume', { name: 'data', zoneid: world().zone, diskofferingid: offering, size: 1 })
    data = made['id'] as string
    assert.deepEqual([made['state'], made['storageid'], made['size']], ['Allocated', undefined, gib])
    const attached = await job('attachVolume', { id: data, virtualmachineid: linked.id })
    assert.deepEqual([attached['state'], attached['deviceid'], attached['vmname']], ['Ready', 1, 'linked'])
    const device = await deviceIn(linked, data)
    assert.equal(await bytesIn(linked, device), gib)
    await world().ssh(linked, `dd if=/dev/urandom of=/dev/${device} bs=1M count=8 2>/dev/null; sync`)
    sum = (await sumIn(linked, data)) as string
  })

  test('it is attached once, and its place is taken', async () => {
    const refused = (given: DeployOptions, why: RegExp) => assert.rejects(job('attachVolume', given), why)
    await refused({ id: data, virtualmachineid: full.id }, /attached to virtual machine linked/)
    const other = await job('createVolume', { name: 'o', zoneid: world().zone, diskofferingid: offering, size: 1 })
    for (const [deviceid, why] of [
      [1, /another disk at place 1/],
      [3, /CD-ROM/],
      [0, /while it is Stopped/],
      [15, /no place for disk 15/],
    ] as const)
      await refused({ id: other['id'] as string, virtualmachineid: linked.id, deviceid }, why)
    assert.equal((await volumeOf(other['id'] as string))['state'], 'Allocated')
    await world().client.call('deleteVolume', { id: other['id'] as string })
    await assert.rejects(world().client.call('deleteVolume', { id: data }), /detach it first/)
    await assert.rejects(job('detachVolume', { id: (await rootOf(linked))['id'] as string }), /stop the machine first/)
  })

  test('it is pulled out of one guest and plugged into another, with its data', async () => {
    await job('detachVolume', { id: data })
    assert.equal((await volumeOf(data))['virtualmachineid'], undefined)
    const moved = await job('attachVolume', { id: data, virtualmachineid: full.id, deviceid: 4 })
    assert.equal(moved['deviceid'], 4)
    assert.equal(await sumIn(full, data), sum)
  })

  test('disks grow under their guests, which see it', async () => {
    await job('resizeVolume', { id: data, size: 2 })
    const device = await deviceIn(full, data)
    await eventually('the guest sees 2 GiB', async () => (await bytesIn(full, device)) === 2 * gib)
    for (const machine of [linked, full]) {
      const root = await rootOf(machine)
      const size = Math.ceil((root['size'] as number) / gib) + 1
      assert.equal((await job('resizeVolume', { id: root['id'] as string, size }))['size'], size * gib)
      await eventually('the guest sees its larger root', async () => (await bytesIn(machine, 'vda')) === size * gib)
    }
  })

  test('a server that was killed knows the disk that was plugged in before, and pulls it out', async () => {
    const device = await deviceIn(full, data)
    await world().ssh(full, `echo here | dd of=/dev/${device} bs=1M seek=1600 conv=notrunc 2>/dev/null; sync`)
    await cloud.restart('SIGKILL')
    await assert.rejects(job('resizeVolume', { id: data, size: 1, shrinkok: true }), /stop full first/)
    await job('detachVolume', { id: data })
    await eventually('the disk is gone', async () =>
      (await world().ssh(full, `test -e /sys/block/${device} || echo gone`)).includes('gone'),
    )
  })

  test('a disk shrinks only when asked, and never below its data', async () => {
    await assert.rejects(job('resizeVolume', { id: data, size: 1 }), /shrinkok=true/)
    await assert.rejects(job('resizeVolume', { id: data, size: 1, shrinkok: true }), /holds data up to byte 16\d{8} /)
    assert.equal((await volumeOf(data))['size'], 2 * gib)
    const free = await job('resizeVolume', { id: data, size: 4 })
    assert.equal(free['size'], 4 * gib)
    assert.equal((await job('resizeVolume', { id: data, size: 2, shrinkok: true }))['size'], 2 * gib)
  })

  test('a linked root arrives linked on another storage, and is flattened where clones are full', async () => {
    await world().stop(linked, true)
    const root = (await rootOf(linked))['id'] as string
    const folder = join(cloud.folder, 'second')
    const earlier = join(cloud.folder, 'earlier.qcow2')
    await run('qemu-img', ['convert', '-O', 'qcow2', await layerFile(root), earlier])
    const first = (await volumeOf(root))['storageid'] as string
    const { id: second } = await world().addPool(folder, 'second')
    const found = await list(world().client, 'findStoragePoolsForMigration', 'storagepool', { id: root })
    assert.deepEqual(
      found.map(each => [each['id'], each['suitableformigration']]),
      [[second, true]],
    )

    await job('migrateVolume', { volumeid: root, storageid: second })
    assert.deepEqual(shape(await world().machine(linked.id)), ['linked', 2])
    await run('qemu-img', ['compare', earlier, await layerFile(root, folder)])

    await world().client.call('updateConfiguration', { name: 'kvm.create.full.clone', value: true, storageid: first })
    await job('migrateVolume', { volumeid: root, storageid: first })
    assert.deepEqual(shape(await world().machine(linked.id)), ['full', 1])
    await run('qemu-img', ['compare', earlier, await layerFile(root)])
    await assert.rejects(job('migrateVolume', { volumeid: root, storageid: first }), /already/)
  })

  test('what is downloaded and uploaded again is the same disk', async () => {
    const { url } = await job('extractVolume', { id: data, mode: 'HTTP_DOWNLOAD', zoneid: world().zone })
    const response = await fetch(url as string)
    const file = join(cloud.folder, 'extracted.qcow2')
    await writeFile(file, Buffer.from(await response.arrayBuffer()))
    await run('qemu-img', ['compare', file, await layerFile(data)])
    assert.equal((await fetch(String(url).replace(/download\/...../, 'download/AAAAA'))).status, 404)

    await world().client.call('updateConfiguration', { name: 'allow.register.private.address', value: true })
    const server = createServer((_, reply) => createReadStream(file).pipe(reply)).unref()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/data.qcow2`
    const given = { name: 'copy', url: address, format: 'QCOW2', zoneid: world().zone }
    const copy = await job('uploadVolume', given)
    assert.deepEqual([copy['state'], copy['size']], ['Uploaded', 2 * gib])
    await assert.rejects(job('uploadVolume', { ...given, format: 'RAW' }), /not raw as said/)
    await job('attachVolume', { id: copy['id'] as string, virtualmachineid: full.id })
    assert.equal(await sumIn(full, copy['id'] as string), sum)
    server.close()
  })

  test('data volumes outlive their machine, and then nothing is left', async () => {
    await world().expunge(linked)
    await world().expunge(full)
    for (const { id } of await list(world().client, 'listVolumes', 'volume')) {
      await job('destroyVolume', { id: id as string })
      await world().client.call('recoverVolume', { id: id as string })
      await world().client.call('deleteVolume', { id: id as string })
    }
    await world().quiet()
    const { stdout, code } = await cloud.cli('doctor')
    assert.equal(code, 0, stdout)
  })
})

function shape({ cloneType, chainDepth }: Machine) {
  return [cloneType, chainDepth]
}
