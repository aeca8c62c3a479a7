import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId } from '@ramet/core/ids.ts'
import { type DriverUnderTest, driverContract } from '../contract.ts'
import type { LayerChain } from '../driver.ts'
import { simulatedDriver } from './driver.ts'
import { keepWorld } from './journal.ts'
import { contentOf, writeLayer } from './snapshots.ts'
import { newWorld, switchPower, type World } from './world.ts'

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
