// Cards and data disks of a simulated vCenter's machines. A data disk is a record of its own, which holds no disk while a machine has it.
import type { VmId } from '@ramet/core/ids.ts'
import type { DataDisk, ForestDevices } from '../forest-devices.ts'
import { problems } from '../vsphere/problems.ts'
import { demandKept, type Kept, keptAs, put } from './kept.ts'
import { diskFacts, type KeptDisk } from './kept-disks.ts'
import { demandDatastore, emptyKept, type Vcenter } from './vcenter.ts'
import { change } from './world.ts'

export function vcenterDevices(vcenter: Vcenter): ForestDevices {
  const { world, id, call, tasks } = vcenter
  const reconfigured = (vm: VmId, kept: Kept) => tasks.run('ReconfigVM_Task', vm, () => put(world, kept))
  return {
    plug: async (vm, { network }) => {
      await call('devices.plug')
      if (!vcenter.networks.includes(network)) throw problems.noNetwork(network)
      const kept = demandKept(world, id, vm)
      if (!kept.networks.includes(network)) await reconfigured(vm, { ...kept, networks: [...kept.networks, network] })
    },
    unplug: async (vm, { network }) => {
      await call('devices.unplug')
      const kept = demandKept(world, id, vm)
      if (kept.networks.includes(network))
        await reconfigured(vm, { ...kept, networks: kept.networks.filter(each => each !== network) })
    },
    makeDisk: async (disk, virtualBytes) => {
      await call('devices.makeDisk')
      demandDatastore(vcenter, disk.pool)
      if (keptAs(world, id, disk.id)) return
      const file = fileOf(disk)
      const [foreign, disks] = [`${disk.id}@${id}`, [{ deviceId: 0, virtualBytes, files: [file], blocks: {} }]]
      put(world, { ...emptyKept, foreign, vcenter: id, name: file, as: { volume: disk.id }, disks })
    },
    attachDisk: async (vm, disk, deviceId) => {
      await call('devices.attachDisk')
      const kept = demandKept(world, id, vm)
      const there = diskIn(kept, disk)
      if (there) return diskFacts(there)
      const loose = demandKept(world, id, disk.id)
      const [file] = loose.disks
      if (!file) throw problems.diskInUse(ownerOf(vcenter, disk))
      const taken = { ...file, deviceId }
      await tasks.run('ReconfigVM_Task', vm, () => {
        put(world, { ...loose, disks: [] })
        put(world, { ...kept, disks: [...kept.disks, taken] })
      })
      return diskFacts(taken)
    },
    detachDisk: async (vm, disk) => {
      await call('devices.detachDisk')
      const kept = demandKept(world, id, vm)
      const there = diskIn(kept, disk)
      if (!there) return
      if (there.files.length > 1) throw problems.diskInSnapshot()
      await tasks.run('ReconfigVM_Task', vm, () => {
        put(world, { ...kept, disks: kept.disks.filter(each => each !== there) })
        giveBack(vcenter, disk.id, there)
      })
    },
    growDisk: async (vm, deviceId, bytes) => {
      await call('devices.growDisk')
      const kept = demandKept(world, id, vm)
      const disk = kept.disks.find(each => each.deviceId === deviceId)
      if (!disk) throw problems.gone(`disk ${deviceId} of the machine`, undefined)
      if (disk.virtualBytes >= bytes) return diskFacts(disk)
      if (disk.files.length > 1) throw problems.linkedGrows()
      const grown = { ...disk, virtualBytes: bytes }
      await reconfigured(vm, { ...kept, disks: kept.disks.map(each => (each === disk ? grown : each)) })
      return diskFacts(grown)
    },
    discardDisk: async disk => {
      await call('devices.discardDisk')
      const loose = keptAs(world, id, disk.id)
      if (!loose) return
      if (loose.disks.length === 0) throw problems.diskInUse(ownerOf(vcenter, disk))
      change(world, { keptGone: loose.foreign })
    },
  }
}

/** Before a machine goes: its data disks are their owner's, and stay with what was written last. */
export function letGoOfDataDisks(vcenter: Vcenter, kept: Kept): void {
  for (const { as } of [...vcenter.world.kept.values()]) {
    if (!as || !('volume' in as)) continue
    const there = kept.disks.find(({ files }) => files[0]?.endsWith(`${as.volume}.vmdk`))
    if (there) giveBack(vcenter, as.volume, { ...there, files: there.files.slice(0, 1) })
  }
}

function giveBack({ world, id }: Vcenter, volume: DataDisk['id'], disk: KeptDisk): void {
  put(world, { ...demandKept(world, id, volume), disks: [{ ...disk, deviceId: 0 }] })
}

function fileOf({ id, pool }: DataDisk): string {
  return `[${pool.path}] Ramet-volumes/${id}.vmdk`
}

function diskIn({ disks }: Kept, disk: DataDisk): KeptDisk | undefined {
  return disks.find(({ files }) => files[0] === fileOf(disk))
}

function ownerOf({ world }: Vcenter, disk: DataDisk): string {
  return [...world.kept.values()].find(kept => diskIn(kept, disk) && kept.as && 'vm' in kept.as)?.name ?? ''
}
