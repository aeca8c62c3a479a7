// What every driver must do, as tests: the same suite runs over each of them. A driver's test file calls `driverContract` with
// a way to make one; what only that driver can show (processes, file formats) stands in tests of its own.
import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { cloneContract } from './contract-clones.ts'
import { networkContract } from './contract-networks.ts'
import { snapshotContract } from './contract-snapshots.ts'
import type {
  Driver,
  HostRef,
  ImageFacts,
  LayerChain,
  LayerRef,
  MachineSpec,
  Owner,
  PoolRef,
  PowerChange,
} from './driver.ts'

export interface DriverUnderTest {
  readonly driver: Driver
  /** Hosts that reach the pool; several where the driver has several. */
  readonly hosts: readonly [HostRef, ...HostRef[]]
  readonly pool: PoolRef
  /** An image file that the driver accepts. */
  readonly image: { readonly file: string; readonly format: ImageFacts['format'] }
  /** Writes a letter into a block of the topmost layer, which no machine has open; '' is what was never written. */
  write(chain: LayerChain, block: number, letter: string): Promise<void>
  read(chain: LayerChain, block: number): Promise<string>
  /** Ends a machine from outside, as a crash would. */
  crash(vm: VmId): Promise<void>
  /** Takes the pool's folder away, as when its file system is not mounted, and brings it back. */
  unmount(pool: PoolRef): Promise<void>
  mount(pool: PoolRef): Promise<void>
  dispose(): Promise<void>
}

export const anOwner: Owner = { accountNumber: 7 }
const notAborted = new AbortController().signal
const quiet = () => {}
const gib = 2 ** 30

export function driverContract(name: string, makeDriver: () => Promise<DriverUnderTest>): void {
  describe(`${name} keeps the driver contract`, () => {
    let made: DriverUnderTest
    let driver: Driver
    const aLayer = (): LayerRef => ({ pool: made.pool, id: newId<'layer'>() })
    const anEmptyBase = async () => {
      const base = aLayer()
      await driver.layers.blank(base, gib, anOwner)
      return base
    }

    before(async () => {
      made = await makeDriver()
      driver = made.driver
      await driver.pools.prepare(made.pool)
    })
    after(() => made.dispose())

    test('each host has processors, memory and a version', async () => {
      for (const host of made.hosts) {
        const facts = await driver.hosts.facts(host)
        assert.ok(facts.cpus > 0 && facts.memoryMib > 0 && facts.hypervisorVersion !== '' && facts.acceleration !== '')
      }
    })

    test('a pool may be prepared twice and has space', async () => {
      await driver.pools.prepare(made.pool)
      const { totalBytes, freeBytes } = await driver.pools.space(made.pool)
      assert.ok(totalBytes > 0 && freeBytes > 0 && freeBytes <= totalBytes)
    })

    test('a pool that is not there does nothing, and is never made anew', async () => {
      const layer = await anEmptyBase()
      await made.unmount(made.pool)
      try {
        const missing = { kind: 'unavailable', code: 'pool-missing' }
        await assert.rejects(driver.pools.space(made.pool), missing)
        await assert.rejects(driver.layers.blank(aLayer(), gib, anOwner), missing)
        await assert.rejects(driver.layers.discard(layer), missing)
      } finally {
        await made.mount(made.pool)
      }
      assert.ok(await driver.layers.facts(layer))
    })

    test('an image is inspected and becomes a first layer, once', async () => {
      const facts = await driver.images.inspect(made.image.file, made.image.format, 64 * gib)
      assert.equal(facts.format, made.image.format)
      const layer = aLayer()
      const seen: number[] = []
      const seeded = await driver.layers.seed(
        layer,
        made.image.file,
        facts.format,
        null,
        percent => seen.push(percent),
        notAborted,
      )
      assert.equal(seeded.virtualBytes, facts.virtualBytes)
      assert.ok(
        seen.at(-1) === 100 && seen.every(percent => percent >= 0 && percent <= 100),
        `progress was ${seen.join()}`,
      )
      const again = await driver.layers.seed(layer, made.image.file, facts.format, null, quiet, notAborted)
      assert.equal(again.virtualBytes, facts.virtualBytes)
      await driver.layers.discard(layer)
    })

    test('an image that is larger than allowed is refused', async () => {
      await assert.rejects(driver.images.inspect(made.image.file, made.image.format, 512), {
        kind: 'invalid',
        code: 'image-too-large',
      })
    })

    test('a fork stands on its base, may be larger, is small, and may be made twice', async () => {
      const base = await anEmptyBase()
      const layer = aLayer()
      for (const _ of ['first', 'again']) {
        const facts = await driver.layers.fork(layer, [base], 2 * gib, anOwner)
        assert.equal(facts.virtualBytes, 2 * gib)
        assert.ok(facts.allocatedBytes <= 256 * 1024)
      }
      assert.deepEqual(await driver.layers.facts(layer), await driver.layers.fork(layer, [base], 2 * gib, anOwner))
    })

    test('a fork that is smaller than its base, or has none, is refused and leaves nothing', async () => {
      const [base, layer] = [await anEmptyBase(), aLayer()]
      await assert.rejects(driver.layers.fork(layer, [base], gib / 2, anOwner), { kind: 'invalid' })
      await assert.rejects(driver.layers.fork(layer, [aLayer()], gib, anOwner), { kind: 'unavailable' })
      assert.ok(!(await driver.layers.list(made.pool)).includes(layer.id))
    })

    test('a copy stands alone, may be larger, and may be made twice', async () => {
      const [base, fork, copy] = [await anEmptyBase(), aLayer(), aLayer()]
      await driver.layers.fork(fork, [base], gib, anOwner)
      for (const _ of ['first', 'again']) {
        const facts = await driver.layers.copy(copy, [base, fork], 2 * gib, anOwner, quiet, notAborted)
        assert.equal(facts.virtualBytes, 2 * gib)
      }
      await driver.layers.discard(fork)
      await driver.layers.discard(base)
      assert.equal((await driver.layers.facts(copy))?.virtualBytes, 2 * gib)
    })

    test('a copy of nobody, of an owner’s layers, carries the disks of any', async () => {
      const [base, fork, copy] = [await anEmptyBase(), aLayer(), aLayer()]
      await driver.layers.fork(fork, [base], gib, anOwner)
      await made.write([base, fork], 3, 'x')
      for (const _ of ['first', 'again'])
        await driver.layers.copy(copy, [base, fork], gib, null, quiet, notAborted, anOwner)
      for (const owner of [anOwner, { accountNumber: 8 }]) {
        const [linked, full] = [aLayer(), aLayer()]
        await driver.layers.fork(linked, [copy], gib, owner)
        await driver.layers.copy(full, [copy], gib, owner, quiet, notAborted)
        for (const chain of [[copy, linked], [full]] as const) assert.equal(await made.read(chain, 3), 'x')
        const spec = aMachine(linked, { owner, disks: [{ deviceId: 0, chain: [copy, linked] }] })
        assert.equal((await driver.machines.start(spec)).power, 'on')
        await removed(spec.vm)
      }
    })

    test('a copy of one owner’s layers can be another’s', async () => {
      const [base, fork, copy] = [await anEmptyBase(), aLayer(), aLayer()]
      await driver.layers.fork(fork, [base], gib, anOwner)
      await made.write([base, fork], 3, 'x')
      const owner = { accountNumber: 8 }
      for (const _ of ['first', 'again'])
        await driver.layers.copy(copy, [base, fork], gib, owner, quiet, notAborted, anOwner)
      assert.equal(await made.read([copy], 3), 'x')
      const spec = aMachine(copy, { owner, disks: [{ deviceId: 0, chain: [copy] }] })
      assert.equal((await driver.machines.start(spec)).power, 'on')
      await removed(spec.vm)
    })

    test('a copy that is aborted leaves nothing', async () => {
      const [base, copy] = [await anEmptyBase(), aLayer()]
      const abort = AbortSignal.abort()
      await assert.rejects(driver.layers.copy(copy, [base], 2 * gib, anOwner, quiet, abort))
      assert.equal(await driver.layers.facts(copy), null)
      assert.ok(!(await driver.layers.list(made.pool)).includes(copy.id))
    })

    test('a graft keeps its own size, stands on the other base, and may be made twice', async () => {
      const [base, other, fork, graft] = [await anEmptyBase(), await anEmptyBase(), aLayer(), aLayer()]
      await driver.layers.fork(fork, [base], 2 * gib, anOwner)
      for (const _ of ['first', 'again']) {
        const facts = await driver.layers.graft(graft, [base, fork], [other], anOwner, quiet, notAborted)
        assert.equal(facts.virtualBytes, 2 * gib)
      }
      await driver.layers.discard(fork)
      await driver.layers.discard(base)
      assert.equal((await driver.layers.facts(graft))?.virtualBytes, 2 * gib)
    })

    test('a layer grows and shrinks, each may be asked twice, and never below its base', async () => {
      const [base, fork] = [await anEmptyBase(), aLayer()]
      await driver.layers.fork(fork, [base], gib, anOwner)
      for (const bytes of [3 * gib, 3 * gib, 2 * gib, 2 * gib])
        assert.equal((await driver.layers.resize([base, fork], bytes, anOwner)).virtualBytes, bytes)
      await assert.rejects(driver.layers.resize([base, fork], gib / 2, anOwner), { kind: 'refused' })
      assert.equal((await driver.layers.facts(fork))?.virtualBytes, 2 * gib)
    })

    test('a disk is exported as a file, twice, and not when that is aborted', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'ramet-x-'))
      await chmod(folder, 0o711)
      const [base, file] = [await anEmptyBase(), join(folder, 'disk')]
      await assert.rejects(driver.layers.export([base], file, anOwner, quiet, AbortSignal.abort()))
      assert.deepEqual(await readdir(folder), [])
      for (const _ of ['first', 'again']) await driver.layers.export([base], file, anOwner, quiet, notAborted)
      assert.deepEqual(await readdir(folder), ['disk'])
      await rm(folder, { recursive: true })
    })

    test('a discarded layer is gone from the list, and may be discarded again', async () => {
      const layer = await anEmptyBase()
      assert.ok((await driver.layers.list(made.pool)).includes(layer.id))
      for (const _ of ['first', 'again']) await driver.layers.discard(layer)
      assert.equal(await driver.layers.facts(layer), null)
      assert.ok(!(await driver.layers.list(made.pool)).includes(layer.id))
    })

    test('a machine starts, starts again, stops, and stops again', async () => {
      const spec = aMachine(await anEmptyBase())
      assert.deepEqual((await driver.machines.facts(spec.vm)).power, 'off')
      const started = await driver.machines.start(spec)
      assert.equal(started.power, 'on')
      assert.deepEqual(await driver.machines.start(spec), started)
      assert.deepEqual(await driver.machines.facts(spec.vm), started)
      assert.ok(Number.isInteger(started.sshPorts[spec.nics[0]!.id]))
      for (const _ of ['first', 'again']) await driver.machines.stop(spec.vm, 0, notAborted)
      assert.equal((await driver.machines.facts(spec.vm)).power, 'off')
      for (const _ of ['first', 'again']) await driver.machines.discard(spec.vm)
    })

    test('a machine that runs is not discarded, and is listed until it is', async () => {
      const { vm } = await aRunningMachine()
      await assert.rejects(driver.machines.discard(vm), { kind: 'refused' })
      assert.equal((await driver.machines.list()).find(each => each.vm === vm)?.power, 'on')
      await driver.machines.stop(vm, 0, notAborted)
      await driver.machines.discard(vm)
      assert.equal(
        (await driver.machines.list()).find(each => each.vm === vm),
        undefined,
      )
    })

    test('two starts at once make one machine', async () => {
      const spec = aMachine(await anEmptyBase())
      const [one, other] = await Promise.all([driver.machines.start(spec), driver.machines.start(spec)])
      assert.deepEqual(one, other)
      await removed(spec.vm)
    })

    test('a start that fails leaves nothing', async () => {
      const spec = aMachine(aLayer())
      await assert.rejects(driver.machines.start(spec))
      assert.equal(
        (await driver.machines.list()).find(each => each.vm === spec.vm),
        undefined,
      )
    })

    test('a disk is plugged into a running machine, grows there, and is plugged in once', async () => {
      const [spec, layer] = [await aRunningMachine(), await anEmptyBase()]
      const disk = { deviceId: 1, chain: [layer], serial: 'data' } as const
      for (const _ of ['first', 'again']) await driver.machines.attachDisk(spec.vm, disk)
      for (const bytes of [2 * gib, 2 * gib]) assert.equal(await driver.machines.growDisk(spec.vm, disk, bytes), true)
      assert.equal((await driver.layers.facts(layer))?.virtualBytes, 2 * gib)
      await assert.rejects(driver.machines.growDisk(spec.vm, disk, gib), { kind: 'refused' })
      const other = { ...disk, chain: [await anEmptyBase()] } as const
      await assert.rejects(driver.machines.attachDisk(spec.vm, other), { kind: 'in-use' })
      await driver.machines.detachDisk(spec.vm, other, notAborted) // it is not there, and what is there stays
      await assert.rejects(driver.machines.attachDisk(spec.vm, other), { kind: 'in-use' })
      await removed(spec.vm)
      await driver.layers.discard(layer)
    })

    test('disks of a machine that is off are left alone', async () => {
      const [spec, layer] = [aMachine(await anEmptyBase()), await anEmptyBase()]
      const disk = { deviceId: 1, chain: [layer] } as const
      await driver.machines.attachDisk(spec.vm, disk)
      await driver.machines.detachDisk(spec.vm, disk, notAborted)
      assert.equal(await driver.machines.growDisk(spec.vm, disk, 2 * gib), false)
      assert.equal((await driver.layers.facts(layer))?.virtualBytes, gib)
    })

    test('a machine starts with a disk at every place there is', async () => {
      const places = Array.from({ length: driver.capabilities.highestDeviceId }, (_, index) => index + 1)
      const data = await Promise.all(
        places.map(async deviceId => ({ deviceId, chain: [await anEmptyBase()] as const, serial: `disk-${deviceId}` })),
      )
      const root = { deviceId: 0, chain: [await anEmptyBase()] } as const
      const spec = aMachine(root.chain[0], { disks: [root, ...data] })
      assert.equal((await driver.machines.start(spec)).power, 'on')
      for (const disk of data) await driver.machines.attachDisk(spec.vm, disk) // each is there already
      await removed(spec.vm)
    })

    test('a machine takes a CD and gives it back, more than once, and one that is off is left alone', async () => {
      const cd = { id: newId<'template'>(), file: made.image.file }
      const spec = aMachine(await anEmptyBase(), { cdrom: cd })
      await driver.machines.changeMedium(spec.vm, cd, false, notAborted)
      await driver.machines.start(spec)
      for (const medium of [cd, null, null, cd]) await driver.machines.changeMedium(spec.vm, medium, false, notAborted)
      await removed(spec.vm)
    })

    test('a machine that ends by itself is reported within a second, and can start again', async () => {
      const spec = await aRunningMachine()
      const seen = await changesWhile(() => made.crash(spec.vm))
      assert.deepEqual(
        seen.map(({ vm, power }) => ({ vm, power })),
        [{ vm: spec.vm, power: 'off' }],
      )
      assert.notEqual(seen[0]?.reason, '')
      assert.equal((await driver.machines.facts(spec.vm)).power, 'off')
      assert.equal((await driver.machines.start(spec)).power, 'on')
      await removed(spec.vm)
    })

    test('a machine that we stop is not reported as having stopped by itself', async () => {
      const { vm } = await aRunningMachine()
      const seen = await changesWhile(() => driver.machines.stop(vm, 0, notAborted))
      assert.deepEqual(seen, [])
      await driver.machines.discard(vm)
    })

    test('machines are found again when asked twice, and have a console', async () => {
      const { vm } = await aRunningMachine()
      for (const _ of ['first', 'again'])
        assert.equal((await driver.machines.adopt()).find(each => each.vm === vm)?.power, 'on')
      assert.ok((await driver.machines.consoleLog(vm, 100)).length <= 100)
      await removed(vm)
    })

    test('a machine migrates to a host and stays there, or says why not', async () => {
      const spec = await aRunningMachine()
      const to = made.hosts.at(-1) ?? spec.host
      if (!driver.capabilities.migrate)
        await assert.rejects(driver.machines.migrate(spec.vm, to, notAborted), { kind: 'refused' })
      else
        for (const _ of ['first', 'again']) {
          const facts = await driver.machines.migrate(spec.vm, to, notAborted)
          assert.equal(facts.host, to.id)
          assert.deepEqual(await driver.machines.facts(spec.vm), facts)
        }
      assert.equal((await driver.machines.facts(spec.vm)).power, 'on')
      await removed(spec.vm)
    })

    test('a machine that is off does not migrate', async () => {
      const spec = aMachine(await anEmptyBase())
      await assert.rejects(driver.machines.migrate(spec.vm, spec.host, notAborted), { kind: 'refused' })
    })

    test('a migration that is aborted leaves the machine running where it was', async () => {
      const spec = await aRunningMachine()
      const { host } = await driver.machines.facts(spec.vm)
      await assert.rejects(driver.machines.migrate(spec.vm, made.hosts.at(-1) ?? spec.host, AbortSignal.abort()))
      const facts = await driver.machines.facts(spec.vm)
      assert.deepEqual([facts.power, facts.host], ['on', host])
      await removed(spec.vm)
    })

    snapshotContract(() => made, aMachine)
    cloneContract(() => made, aMachine)
    networkContract(() => made, aMachine)

    async function aRunningMachine(): Promise<MachineSpec> {
      const spec = aMachine(await anEmptyBase(), { host: made.hosts[0] })
      await driver.machines.start(spec)
      return spec
    }

    async function removed(vm: VmId): Promise<void> {
      await driver.machines.stop(vm, 0, notAborted)
      await driver.machines.discard(vm)
    }

    /** What is reported until a second after `act`, which is when a report is due. */
    async function changesWhile(act: () => Promise<void>): Promise<PowerChange[]> {
      const seen: PowerChange[] = []
      const reported = Promise.withResolvers<void>()
      const stop = driver.onPowerChange(change => (seen.push(change), reported.resolve()))
      await act()
      const due = new Promise(resolve => setTimeout(resolve, 1000))
      await Promise.race([reported.promise, due])
      stop()
      return seen
    }
  })
}

/** A small machine on a disk; what a test is about, it says itself. */
export function aMachine(disk: LayerRef, about: Partial<MachineSpec> = {}): MachineSpec {
  return {
    vm: newId<'vm'>(),
    host: { id: newId<'host'>(), name: 'host-1' },
    name: 'web-1',
    owner: anOwner,
    cpus: 1,
    memoryMib: 64,
    generationId: globalThis.crypto.randomUUID(),
    disks: [{ deviceId: 0, chain: [disk] }],
    nics: [
      { id: newId<'nic'>(), deviceId: 0, mac: '02:00:4c:00:00:01', kind: 'user-nat', outward: false, sshPort: null },
    ],
    cdrom: null,
    firstBoot: { instanceId: 'i-1', hostname: 'web-1', sshKeys: [], passwordHash: null, userData: null },
    ...about,
  }
}
