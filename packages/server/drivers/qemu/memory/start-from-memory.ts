// What a machine needs to go on from a memory image instead of booting: the same devices, disks that show what they showed at that instant,
// and the open file with the devices' state.
//
// A guest that finds other disks than it remembers destroys their file systems. So a machine goes on from memory only on topmost layers
// that nobody ever wrote: one that did before, and went off before anybody noted it, is not taken there again.
import { open } from 'node:fs/promises'
import { diskWritten } from '../../disk-written.ts'
import type { MachineSpec, NicSpec } from '../../driver.ts'
import { machineArguments, type MachinePlan } from '../machines/argv.ts'
import { inheritedNics } from '../machines/inherited-nics.ts'
import type { MachineFolder } from '../machines/machine-folder.ts'
import type { Surroundings } from '../machines/machines.ts'
import { changed, memoryFiles, requireManifest } from './memory-files.ts'
import { requirePool } from '../disks/layer-files.ts'
import { tipOf } from '../disks/blockdev.ts'
import { isUntouched } from '../disks/untouched.ts'
import { problems } from '../problems.ts'
import { misfit, otherMachine, portsOf, processorOf } from '../machines/shape.ts'

export interface Resumption {
  readonly from: NonNullable<MachinePlan['from']>
  readonly machineType: string
  /** The state of the devices. */
  readonly file: string
  readonly quiesced: boolean
  /** The cards that the guest finds. */
  readonly nics: readonly NicSpec[]
}

/** Null where the machine boots; `opensDisks`: now, and not when it is told to. Throws where it cannot go on, before anything was made. */
export async function resumptionOf(
  spec: MachineSpec,
  folder: MachineFolder,
  { accelerator, installed, images }: Surroundings,
  opensDisks = true,
): Promise<Resumption | null> {
  if (!spec.memory) return null
  await requirePool(spec.memory.pool)
  const image = await images.find(spec.memory)
  const manifest = await requireManifest(image)
  const { shape, quiesced } = manifest
  const { ram, state } = memoryFiles(image)
  const nics = spec.isClone ? inheritedNics(shape) : spec.nics
  const from = { ram, nicPorts: portsOf(shape, 'nic'), diskPorts: portsOf(shape, 'disk') }
  const { machineType } = shape
  const args = machineArguments({ spec: { ...spec, nics }, folder, ports: {}, accelerator, machineType, from })
  const why =
    misfit(shape, { qemu: installed.version, processor: processorOf(accelerator) }) ??
    (await changed(image, manifest)) ??
    otherMachine(shape, spec, args)
  if (why) throw problems.memoryDoesNotFit(why)
  if (opensDisks) await demandUntouched(spec)
  return { from, machineType, file: state, quiesced, nics }
}

async function demandUntouched({ disks }: MachineSpec): Promise<void> {
  for (const { deviceId, chain } of disks) if (!(await isUntouched(tipOf(chain)))) throw diskWritten(deviceId)
}

/** To be inherited by QEMU, whose user may not open it. */
export function openState({ file }: Resumption) {
  return open(file, 'r')
}
