// Whether a machine's process can be replaced by a successor, and what that one is: the same machine on new layers, whose memory is mapped
// privately from the file that the first one wrote until then. Where it cannot, its memory is copied (save-memory.ts).
import { dirname } from 'node:path'
import type { Cut, LayerChain, MachineSpec } from '../../driver.ts'
import { activeLayers } from '../disks/active-layers.ts'
import { machineArguments, type MachinePlan } from './argv.ts'
import { tipOf } from '../disks/blockdev.ts'
import { holdsMedium } from '../disks/cdrom.ts'
import { successorFolder } from './machine-folder.ts'
import type { Machine } from './machine.ts'
import { type ImageAt, memoryFiles } from '../memory/memory-files.ts'
import { ownMemory } from '../memory/own-memory.ts'
import type { Accelerator } from '../options.ts'
import type { Qmp } from '../process/qmp.ts'
import { hostRoomBytes } from '../memory/ram.ts'
import { type MachineShape, otherMachine, portsOf } from './shape.ts'

/** What the guest writes from now on is held besides the image. So much is left for the host. */
const reserveBytes = 512 * 2 ** 20

/** A sentence where there can be none. */
export async function successionOf(
  machine: Machine,
  wanted: Cut,
  image: ImageAt,
  shape: MachineShape,
  accelerator: Accelerator,
): Promise<MachinePlan | string> {
  const { machine: described } = wanted
  if (!described) return 'nobody described the machine'
  if (described.nics.some(({ kind }) => kind === 'user-nat'))
    return 'connections of its network card live in its process'
  if (!(await ownMemory(machine))) return 'its memory is no file of its own'
  if ((await hostRoomBytes(dirname(machine.found.folder.ram))) < shape.memoryMib * 2 ** 20 + reserveBytes)
    return 'the host has too little memory free'
  const qmp = await machine.monitor()
  if ((await qmp.execute('query-jobs')).length > 0) return 'its disks are being worked on'
  if (!(await holdsMedium(qmp, described.cdrom))) return 'its CD-ROM drive is open, or holds another CD'
  const plan = await planOf(machine, described, wanted, image, shape, accelerator)
  return plan ? (otherMachine(shape, plan.spec, machineArguments(plan)) ?? plan) : 'its disks are not as described'
}

async function planOf(
  machine: Machine,
  described: MachineSpec,
  wanted: Cut,
  image: ImageAt,
  shape: MachineShape,
  accelerator: Accelerator,
): Promise<MachinePlan | null> {
  const active = await activeLayers(machine)
  if (active.size !== described.disks.length) return null
  if (described.disks.some(({ deviceId, chain }) => active.get(deviceId) !== tipOf(chain).id)) return null
  const [nicPorts, diskPorts] = [portsOf(shape, 'nic'), portsOf(shape, 'disk')]
  return {
    spec: {
      ...described,
      disks: onNewLayers(described, wanted),
      generationId: await generationOf(await machine.monitor()), // the guest must not believe that it is a copy
    },
    folder: successorFolder(machine.found.folder),
    ports: {},
    accelerator,
    machineType: shape.machineType,
    from: { ram: memoryFiles(image).ram, nicPorts, diskPorts },
  }
}

function onNewLayers({ disks }: MachineSpec, wanted: Cut): MachineSpec['disks'] {
  const next = disks.map(disk => {
    const layer = wanted.disks.find(each => each.disk.deviceId === disk.deviceId)?.layer
    return layer ? { ...disk, chain: [...disk.chain, layer] as unknown as LayerChain } : disk
  })
  return next as unknown as MachineSpec['disks']
}

async function generationOf(qmp: Qmp): Promise<string> {
  return (await qmp.execute('query-vm-generation-id')).guid
}
