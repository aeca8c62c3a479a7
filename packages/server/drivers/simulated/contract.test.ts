import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId, type VmId } from '@ramet/core/ids.ts'
import { type DriverUnderTest, driverContract } from '../contract.ts'
import { forestContract, type ForestUnderTest } from '../contract-forest.ts'
import type { LayerChain } from '../driver.ts'
import { simulatedDriver } from './driver.ts'
import { withSnapshot } from './forest.ts'
import { keepWorld } from './journal.ts'
import { demandKept, put } from './kept.ts'
import { copied } from './kept-disks.ts'
import { contentOf, writeLayer } from './snapshots.ts'
import { simulatedVcenter } from './vcenter.ts'
import { newWorld, switchAside, switchPower, type World } from './world.ts'

const tipOf = (chain: LayerChain) => (chain.at(-1) ?? chain[0]).id
const aHost = (name: string) => ({ id: newId<'host'>(), name })

function underTest(world: World, hosts: DriverUnderTest['hosts'], dispose: () => Promise<void>): DriverUnderTest {
  return {
    driver: simulatedDriver(world),
    hosts,
    pool: { id: newId(), path: '/simulated' },
    image: { file: '/simulated/image.qcow2', format: 'qcow2' },
    unmount: async ({ path }) => void world.missingPools.add(path),
    mount: async ({ path }) => void world.missingPools.delete(path),
    write: async (chain, block, letter) => writeLayer(world, tipOf(chain), block, letter),
    read: async (chain, block) => contentOf(world, tipOf(chain))[block] ?? '',
    crash: async vm => switchPower(world, vm, 'off', 'made to crash'),
    dispose,
  }
}

driverContract('the simulated hypervisor', async () => underTest(newWorld(), [aHost('sim-1')], async () => {}))

driverContract('the simulated hypervisor with several hosts, kept in a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ramet-sim-'))
  const { world, close } = await keepWorld(join(folder, 'world.jsonl'))
  return underTest(world, [aHost('sim-1'), aHost('sim-2'), aHost('sim-3')], async () => {
    close()
    rmSync(folder, { recursive: true })
  })
})

forestContract('a simulated vCenter', async () => aVcenter(newWorld(), async () => {}))

forestContract('a simulated vCenter, kept in a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ramet-sim-'))
  const { world, close } = await keepWorld(join(folder, 'world.jsonl'))
  return aVcenter(world, async () => {
    close()
    rmSync(folder, { recursive: true })
  })
})

async function aVcenter(world: World, dispose: () => Promise<void>): Promise<ForestUnderTest> {
  const driver = simulatedVcenter(world, 'https://vcenter.test/DC/C')
  const { hosts, pools, networks } = await driver.forest.inventory()
  const [first, ...others] = hosts.map(({ name }) => aHost(name))
  assert.ok(first)
  const like = [...world.kept.values()].find(({ isTemplate }) => !isTemplate)
  assert.ok(like)
  const { vcenter } = like
  let count = 0
  const found = (vm: VmId) => demandKept(world, vcenter, vm)
  return {
    driver,
    hosts: [first, ...others],
    pool: { id: newId(), path: pools[0]!.path },
    network: networks[0]!,
    async aForeignMachine() {
      const name = `theirs-${++count}`
      const foreign = `${name}@${vcenter}`
      const disks = [0, 1].map(deviceId => copied({ vcenter, name }, { ...like.disks[0]!, deviceId }))
      put(world, { ...like, name, foreign, disks })
      return foreign
    },
    foreignSnapshot: async (vm, name) => void put(world, withSnapshot(found(vm), null, name, false)),
    switchPower: async (vm, power) => switchAside(world, found(vm), power, 'somebody switched it'),
    dispose: async () => {
      await driver.close()
      await dispose()
    },
  }
}
