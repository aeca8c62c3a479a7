// The QEMU driver: machines on the host that the server runs on, one QEMU process each. The processes outlive the server,
// which finds and watches them again. See docs of the parts: launch.ts for how a machine starts, layers.ts for disks,
// privileges.ts for who may touch what, acceleration.ts for KVM.
import { chmod, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Driver } from '../driver.ts'
import { chooseAccelerator } from './process/acceleration.ts'
import { highestDeviceId, mostNics } from './machines/argv.ts'
import { findInstalled, qemuHosts, qemuPools } from './host.ts'
import { inspect } from './disks/images.ts'
import { qemuLayers } from './disks/layers.ts'
import { checkRunDirectory, ramDirectory } from './machines/machine-folder.ts'
import { MemoryImages } from './memory/memory-images.ts'
import { Machines } from './machines/machines.ts'
import { networksDirectory } from './network/folder.ts'
import { QemuNetworks } from './network/networks.ts'
import { networkKind, networkRefusal } from './network/probe.ts'
import { defaultUidBase } from './options.ts'
import type { QemuOptions } from './options.ts'
import { privilegesOf, server } from './process/privileges.ts'
import { dropRamDirectory } from './memory/ram.ts'
import { openPassage, requireReachable } from './process/reachable.ts'

export type { QemuOptions } from './options.ts'

export async function qemuDriver(options: QemuOptions): Promise<Driver> {
  const { runDirectory, uidBase = defaultUidBase, log } = options
  checkRunDirectory(runDirectory)
  const privileges = privilegesOf(uidBase, server.uid)
  await mkdir(runDirectory, { recursive: true, mode: 0o711 })
  await chmod(runDirectory, 0o711)
  await openPassage(dirname(runDirectory), privileges)
  await requireReachable(runDirectory, privileges)
  const installed = await findInstalled()
  const accelerator = await chooseAccelerator(options, installed, privileges.stranger)
  const refusal = await networkRefusal()
  const networks = new QemuNetworks(networksDirectory(runDirectory), refusal, privileges.stranger ?? server, log)
  const images = new MemoryImages(ramDirectory(runDirectory), installed, accelerator)
  const machines = new Machines({ runDirectory, images, installed, accelerator, privileges, networks, log })
  return {
    hypervisor: 'KVM',
    capabilities: {
      disks: 'layers',
      reflink: true,
      linkedClone: true,
      fullClone: true,
      consoleLog: true,
      gracefulStop: true,
      highestDeviceId,
      mostNics,
      migrate: false,
      addHosts: false,
      vmSnapshot: true,
      memorySnapshot: true,
      instantClone: true,
      liveMerge: true,
      longestChain: 64, // reads of 4 KiB take more than twice as long at 64, and thirteen times as long at 254
      consolidateAt: 16,
      mostDeltas: null,
      networks: refusal === null,
    },
    hosts: qemuHosts(installed, accelerator, await networkKind(refusal), ramDirectory(runDirectory)),
    pools: qemuPools(privileges),
    images: { inspect: (file, expected, maxVirtualBytes) => inspect(file, expected, maxVirtualBytes, privileges) },
    layers: qemuLayers(privileges),
    memory: {
      ...images.calls,
      discard: async image => {
        await machines.warm.endOf(image.id) // they have it mapped
        await images.calls.discard(image)
      },
    },
    networks: networks.calls,
    forest: null,
    machines: machines.calls,
    warm: machines.warmCalls,
    onPowerChange: listener => machines.listen(listener),
    async close() {
      networks.close()
      await machines.warm.close()
      machines.close()
      await dropRamDirectory(ramDirectory(runDirectory))
    },
  }
}
