// A tree of VM snapshots A-(B, C) of a linked and of a full clone with two disks: taken, reverted to from a running and a stopped
// machine, and deleted under the running guest: one in the middle, the current one, all. What counts is what the guest finds: on its root disk, on its data disk, and in its
// memory (/run is one).
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { ramDirectory } from '@ramet/server/drivers/qemu/machines/machine-folder.ts'
import { diagnose } from '@ramet/server/doctor/main.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { clockError } from './guest-clock.ts'
import { imageCache } from './image-cache.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

const run = promisify(execFile)
/** What the guest reads afterwards comes from its disks. */
const forget = 'sync; echo 3 > /proc/sys/vm/drop_caches'

for (const type of ['linked', 'full'] as const)
  describe(`a tree of VM snapshots of a ${type} clone`, { timeout: 600_000 }, () => {
    let cloud: Cloud
    let machine: Machine
    const ids: Record<string, string> = {}

    before(async () => {
      const { file } = await buildTiny({ directory: imageCache() })
      cloud = await Cloud.open()
      const { id } = await world().registerTemplate(file)
      const offering = await aDataOffering()
      machine = await world().deploy(id, `tree-${type}`, type, { diskofferingid: offering, size: 1 })
      await world().awaitSsh(machine)
    })
    after(() => cloud?.close())

    const world = (): World => cloud.world

    async function aDataOffering(): Promise<string> {
      const [found] = await list(world().client, 'listDiskOfferings', 'diskoffering', { name: 'Custom' })
      return found?.['id'] as string
    }
    const write = (mark: string) =>
      world().ssh(
        machine,
        `echo ${mark} > /root/mark; echo ${mark} > /run/mark; printf '%-512s' ${mark} | dd of=/dev/vdb bs=512 conv=notrunc,fsync 2>/dev/null; sync`,
      )
    const found = async () =>
      (
        await world().ssh(
          machine,
          'cat /root/mark; dd if=/dev/vdb bs=512 count=1 2>/dev/null; echo; cat /run/mark 2>/dev/null || true',
        )
      )
        .split(/\s+/)
        .filter(Boolean)
    async function take(name: string, given: Record<string, boolean>): Promise<Fields> {
      const { vmsnapshot } = await world().client.run('createVMSnapshot', {
        virtualmachineid: machine.id,
        name,
        ...given,
      })
      const snapshot = vmsnapshot as Fields
      ids[name] = snapshot['id'] as string
      return snapshot
    }
    const revert = async (name: string, given: Record<string, boolean> = {}) =>
      (await world().client.run('revertToVMSnapshot', { vmsnapshotid: ids[name] ?? '', ...given }))[
        'virtualmachine'
      ] as Fields
    const tree = async () =>
      (await list(world().client, 'listVMSnapshot', 'vmSnapshot', { virtualmachineid: machine.id }))
        .map(each => [String(each['displayname']), each['parentName'] ?? null, each['current']] as const)
        .toSorted(([one], [other]) => one.localeCompare(other))

    /** Not surely further from it than promised. */
    async function hasHostsTime(t: TestContext): Promise<void> {
      const { ms, doubtMs } = await clockError(machine.sshAddress, world().key)
      t.diagnostic(`the guest's clock: ${ms.toFixed(1)} ms, give or take ${doubtMs.toFixed(1)}`)
      assert.ok(Math.abs(ms) - doubtMs <= 250, `the guest's clock is ${ms} ms ahead, give or take ${doubtMs}`)
    }

    test('A is taken of the disks, B of disks and memory, while the guest runs', async t => {
      await write('a')
      const a = await take('A', { quiescevm: true })
      assert.equal(a['type'], 'Disk')
      assert.equal(a['quiesceoutcome'], 'quiesced', 'the file systems were not at rest')
      await write('b')
      const b = await take('B', { snapshotmemory: true })
      assert.equal(b['type'], 'DiskAndMemory')
      for (const each of [a, b]) t.diagnostic(`${String(each['displayname'])}: stun ${String(each['stunms'])} ms`)
      await write('lost')
      assert.deepEqual(await tree(), [
        ['A', null, false],
        ['B', 'A', true],
      ])
    })

    test('the machine reverts to A, and is Stopped; started, it finds what A held', async () => {
      const { state } = await revert('A')
      assert.equal(state, 'Stopped')
      machine = await world().start(machine)
      await world().awaitSsh(machine)
      assert.deepEqual((await found()).slice(0, 2), ['a', 'a'])
    })

    test('C is taken beside B', async () => {
      await write('c')
      await take('C', { snapshotmemory: true })
      await write('lost')
      assert.deepEqual(await tree(), [
        ['A', null, false],
        ['B', 'A', false],
        ['C', 'A', true],
      ])
    })

    test('the running machine goes on at B and at C in turn: disks, memory, clock, address and randomness', async t => {
      const random: string[] = []
      for (const name of ['B', 'C', 'B']) {
        const begin = performance.now()
        const { state, sshaddress } = await revert(name)
        t.diagnostic(`revert to ${name}: ${Math.round(performance.now() - begin)} ms`)
        assert.equal(state, 'Running')
        assert.equal(sshaddress, machine.sshAddress)
        await world().awaitSsh(machine)
        assert.deepEqual(await found(), [name.toLowerCase(), name.toLowerCase(), name.toLowerCase()])
        random.push(await world().ssh(machine, 'cat /proc/sys/kernel/random/uuid'))
        await hasHostsTime(t)
      }
      assert.equal(new Set(random).size, 3, 'the same random numbers twice')
    })

    test('A is deleted while the guest writes, and nobody notices', async () => {
      const plan = (await world().client.run('deleteVMSnapshot', { vmsnapshotid: ids['A'] ?? '', dryrun: true }))[
        'plan'
      ] as Fields
      assert.equal((plan['dependents'] as Fields[]).length, 2)
      await write('d')
      await take('D', {}) // so that what A leaves behind is in the middle of the chain
      await write('e')
      for (const name of ['A', 'C']) await world().client.run('deleteVMSnapshot', { vmsnapshotid: ids[name] ?? '' })
      await world().ssh(machine, 'dd if=/dev/urandom of=/root/noise bs=1M count=4 2>/dev/null; sync')
      await world().quiet()
      assert.deepEqual(await found(), ['e', 'e', 'e'])
      assert.deepEqual(await tree(), [
        ['B', null, false],
        ['D', 'B', true],
      ])
      // A's layers had two children until C went; then they were merged into B's.
      const files = await cloud.layerFiles()
      assert.equal(files.length, 7, files.join('\n'))
    })

    test('after the memory of every process is gone, B still brings all back to the stopped machine', async t => {
      await world().stop(machine, true)
      await cloud.server.end('SIGTERM')
      await rm(ramDirectory(join(cloud.dataDir, 'vms')), { recursive: true, force: true })
      await cloud.restart('SIGTERM')
      const { state } = await revert('B')
      assert.equal(state, 'Running')
      await world().awaitSsh(machine)
      assert.deepEqual(await found(), ['b', 'b', 'b'])
      await hasHostsTime(t)
    })

    test('stopped, it reverts to the disks of D, stays Stopped, and finds them when it is started', async () => {
      await world().stop(machine, true)
      const { state } = await revert('D')
      assert.equal(state, 'Stopped')
      machine = await world().start(machine)
      await world().awaitSsh(machine)
      assert.deepEqual((await found()).slice(0, 2), ['d', 'd'])
      assert.deepEqual(await tree(), [
        ['B', null, false],
        ['D', 'B', true],
      ])
    })

    test('the current one is deleted, and then all: the guest keeps what it has, and B what it held', async () => {
      await write('f')
      await world().deleteSnapshot(ids['D'] ?? '')
      await world().ssh(machine, forget)
      assert.deepEqual(await found(), ['f', 'f', 'f'])
      assert.deepEqual(await tree(), [['B', null, true]])
      await revert('B')
      await world().awaitSsh(machine)
      assert.deepEqual(await found(), ['b', 'b', 'b'])
      await write('g')
      await world().deleteSnapshot(ids['B'] ?? '')
      await world().ssh(machine, forget)
      assert.deepEqual(await found(), ['g', 'g', 'g'])
      assert.deepEqual(await tree(), [])
      const files = await cloud.layerFiles()
      assert.equal(files.length, 3, files.join('\n'))
    })

    test('every file is sound, and nothing is left when the machine is gone', async () => {
      await world().stop(machine, true)
      for (const file of await cloud.layerFiles())
        await run('qemu-img', ['check', '-q', join(cloud.dataDir, 'primary/layers', file)])
      assert.deepEqual(await diagnose(cloud.dataDir), [])
      await world().expunge(machine)
      await world().quiet()
      assert.equal((await cloud.layerFiles()).length, 2, 'the copy of the template and the data disk are left')
      const left = await readdir(join(cloud.dataDir, 'primary'), { recursive: true })
      assert.deepEqual(
        left.filter(file => file.includes('memory') && file.includes('-')),
        [],
      )
      assert.deepEqual(await diagnose(cloud.dataDir), [])
    })
  })
