import { newId } from '@ramet/core/ids.ts'
import { driverContract } from '../contract.ts'
import { simulatedDriver } from './driver.ts'
import { newWorld, switchPower } from './world.ts'

driverContract('the simulated hypervisor', async () => {
  const world = newWorld()
  return {
    driver: simulatedDriver(world),
    pool: { id: newId(), path: '/simulated' },
    image: { file: '/simulated/image.qcow2', format: 'qcow2' },
    crash: async vm => switchPower(world, vm, 'off', 'made to crash'),
    unmount: async ({ path }) => void world.missingPools.add(path),
    mount: async ({ path }) => void world.missingPools.delete(path),
    dispose: async () => {},
  }
})
