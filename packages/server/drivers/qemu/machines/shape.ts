// What a memory image fits: the board, the processor, and every device at its place. QEMU itself notices another board; another
// processor or device it takes without a word, and the guest hangs.
import { cpus } from 'node:os'
import type { MachineSpec } from '../../driver.ts'
import { tapsOf } from './inherited-nics.ts'
import type { Machine } from './machine.ts'
import type { Accelerator } from '../options.ts'

export interface MachineShape {
  readonly qemu: string
  readonly machineType: string
  readonly processor: string
  readonly memoryMib: number
  readonly cpus: number
  /** Every device with a name, as "name kind", in order. */
  readonly devices: readonly string[]
  /** Places of the network cards that are on taps. */
  readonly taps?: readonly number[]
}

/** Two that say the same work the same. */
export function processorOf(accelerator: Accelerator): string {
  return accelerator === 'kvm' ? `host: ${cpus()[0]?.model ?? 'unknown'}` : 'max, emulated'
}

/** The running machine's, as QEMU has it now: with what was plugged in since its start, and without what was pulled out. */
export async function shapeOf(machine: Machine): Promise<MachineShape> {
  const qmp = await machine.monitor()
  const [version, type, memory, processors, kvm, devices, taps] = await Promise.all([
    qmp.execute('query-version'),
    qmp.execute('qom-get', { path: '/machine', property: 'type' }),
    qmp.execute('query-memory-size-summary'),
    qmp.execute('query-cpus-fast'),
    qmp.execute('query-kvm'),
    qmp.execute('qom-list', { path: '/machine/peripheral' }),
    tapsOf(qmp),
  ])
  const { major, minor, micro } = version.qemu
  return {
    qemu: `${major}.${minor}.${micro}`,
    machineType: String(type).replace(/-machine$/, ''),
    processor: processorOf(kvm.enabled ? 'kvm' : 'tcg'),
    memoryMib: memory['base-memory'] / 2 ** 20,
    cpus: processors.length,
    devices: devices
      .flatMap(({ name, type: kind }) => /^child<(.+)>$/.exec(kind)?.[1]?.replace(/^/, `${name} `) ?? [])
      .toSorted(),
    taps,
  }
}

/** The devices that a command line makes, in the same words. */
export function devicesOf(args: readonly string[]): string[] {
  const words = args.filter((_, index) => args[index - 1] === '-device')
  return words
    .flatMap(word => {
      const name = /(?:^|,)id=([^,]+)/.exec(word)?.[1]
      return name ? [`${name} ${word.split(',')[0]}`] : []
    })
    .toSorted()
}

/** How many root ports of a kind it has: they are made at the start only, whatever was plugged in later. */
export function portsOf({ devices }: MachineShape, kind: 'nic' | 'disk'): number {
  return devices.filter(each => each.startsWith(`${kind}-port-`)).length
}

/** Why it does not go on with this QEMU on this host; null when it does. */
export function misfit(shape: MachineShape, here: { qemu: string; processor: string }): string | null {
  if (family(shape.qemu) !== family(here.qemu))
    return `The memory was saved by QEMU ${shape.qemu}, and QEMU ${here.qemu} is installed`
  if (shape.processor !== here.processor)
    return `The memory was saved on the processor "${shape.processor}", and machines here have "${here.processor}"`
  return null
}

/** Why a machine of this description does not go on with it; null when it does. */
export function otherMachine(shape: MachineShape, spec: MachineSpec, args: readonly string[]): string | null {
  if (shape.memoryMib !== spec.memoryMib)
    return `It was saved of a machine with ${shape.memoryMib} MiB, and this one has ${spec.memoryMib} MiB`
  if (shape.cpus !== spec.cpus)
    return `It was saved of a machine with ${shape.cpus} processors, and this one has ${spec.cpus}`
  const devices = devicesOf(args)
  const more = devices.filter(each => !shape.devices.includes(each))
  const fewer = shape.devices.filter(each => !devices.includes(each))
  if (more.length + fewer.length === 0) return null
  return `It was saved of a machine with other devices: there ${listed(fewer)}, here ${listed(more)}`
}

function listed(devices: readonly string[]): string {
  return devices.length === 0 ? 'none besides' : devices.map(each => each.split(' ')[0]).join(', ')
}

/** Device states are compatible within a version with a fixed machine type. */
function family(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}
