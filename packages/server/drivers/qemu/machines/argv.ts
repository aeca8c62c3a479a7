// QEMU's command line for a machine: a pure function of what is asked, so that the same machine always gets the same devices
// at the same places. A guest names its network cards and keeps its drivers by these places, and a memory image fits no other.
//
// pcie.0:  01 VGA   03 virtio-serial   04 root disk   05 random numbers   10.n root port of NIC n   12.n of disk n+1   1d seed
//          1f the board's own, with SATA for the CD-ROM drive
// Hot-plug needs an empty root port, and ports are made at the start only: two more than there are cards, and five for disks, or
// two more than the highest in use. Plugged in later, a device has the place that it would have had from the start.
import type { NicId } from '@ramet/core/ids.ts'
import type { DiskSpec, MachineSpec, NatNicSpec, NetworkNicSpec, NicSpec } from '../../driver.ts'
import { type BlockNode, machineNodes, tipName } from '../disks/blockdev.ts'
import { cdromArguments } from '../disks/cdrom.ts'
import type { MachineFolder } from './machine-folder.ts'
import { plugsOf } from '../network/taps.ts'
import type { Accelerator } from '../options.ts'
import type { SshPorts } from '../process/ports.ts'

export interface MachinePlan {
  readonly spec: MachineSpec
  readonly folder: MachineFolder
  readonly ports: SshPorts
  readonly accelerator: Accelerator
  /** Versioned, such as pc-q35-7.2: a guest must not see another board after an upgrade of QEMU. */
  readonly machineType: string
  /** To go on from a memory image: its file, and the root ports that the machine had. */
  readonly from?: { readonly ram: string; readonly nicPorts: number; readonly diskPorts: number }
  /** It waits for its disks, its seed and the word to go on (warm-machines.ts). */
  readonly waits?: true
}

/** Open files that the process inherits, by number. */
export const inheritedFds = { qmp: 3, agent: 4, taps: 5, state: 6 } as const

/** Where it reads the state of its devices. */
const stateUri = `fd:${inheritedFds.state}`

const sparePorts = 2
const leastDiskPorts = 5
/** As many root ports as a slot has; a machine with more cards is likely a mistake. */
export const mostNics = 8
/** Fifteen disk ports; a guest's firmware and kernel look at each at every start. */
export const highestDeviceId = 15

export function machineArguments({
  spec,
  folder,
  ports,
  accelerator,
  machineType,
  from,
  waits,
}: MachinePlan): string[] {
  const name = waits ? 'waiting' : spec.name.replaceAll(/[^\w.-]/g, '-').slice(0, 8)
  return [
    ...['-name', `guest=${spec.vm},process=ramet-${name}`],
    ...['-uuid', spec.vm],
    // CPUs wait for `cont`: firmware that runs at once under TCG keeps QEMU's monitor from answering for 60 ms.
    ...['-S', '-nodefaults', '-no-user-config', '-display', 'none', '-pidfile', folder.lock],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-machine', `${machineType},memory-backend=ram,dump-guest-core=off,vmport=off`],
    ...processor(accelerator, spec.cpus),
    ...['-m', `${spec.memoryMib}M`],
    ...memory(spec, from?.ram ?? null, folder),
    ...['-boot', 'strict=on', '-global', 'ICH9-LPC.disable_s3=1', '-global', 'ICH9-LPC.disable_s4=1'],
    ...monitor(),
    ...basicDevices(spec, folder),
    ...rootPorts(spec, from),
    ...spec.disks.flatMap(each => (waits ? laterDisk(each) : disk(each))),
    ...asNode(waits ? nothingYet(laterName(seedId), true) : seedNode(folder)),
    ...asDevice(waits ? { ...seedDisk, drive: laterName(seedId) } : seedDisk),
    ...cdromArguments(spec.cdrom),
    ...spec.nics.flatMap(nic => [...netdev(nic, spec, ports), ...asDevice(nicDevice(nic))]),
  ]
}

/** An image is mapped privately: what the guest writes is its own, and the file stays as it is for whoever goes on from it next. */
function memory({ memoryMib }: MachineSpec, image: string | null, { ram }: MachineFolder): string[] {
  const file = (path: string, share: string) =>
    `memory-backend-file,id=ram,size=${memoryMib}M,mem-path=${path},share=${share}`
  if (image === null) return ['-object', file(ram, 'on')]
  return ['-object', file(image, 'off'), '-incoming', stateUri]
}

function processor(accelerator: Accelerator, cpus: number): string[] {
  // A guest of TCG gets the most that QEMU can emulate; tb-size bounds the translated code that each machine may keep.
  const [accel, cpu] = accelerator === 'kvm' ? ['kvm', 'host'] : ['tcg,tb-size=256', 'max']
  return ['-accel', accel, '-cpu', cpu, '-smp', `${cpus},sockets=1,cores=${cpus},threads=1`]
}

function monitor(): string[] {
  const socket = (id: keyof typeof inheritedFds) => [
    '-chardev',
    `socket,id=${id},fd=${inheritedFds[id]},server=on,wait=off`,
  ]
  return [
    ...socket('qmp'),
    ...['-mon', 'chardev=qmp,mode=control'],
    ...socket('taps'),
    ...['-mon', 'chardev=taps,mode=control'],
    ...socket('agent'),
  ]
}

function basicDevices({ generationId }: MachineSpec, folder: MachineFolder): string[] {
  return [
    ...['-device', `vmgenid,id=vmgenid,guid=${generationId}`],
    ...['-device', 'VGA,id=video,bus=pcie.0,addr=0x1', '-vnc', `unix:${folder.vnc}`],
    // Appended to, so that the server can cut the file while QEMU writes it (console.ts).
    ...[
      '-chardev',
      `file,id=console,path=${folder.console},append=on`,
      '-device',
      'isa-serial,id=serial0,chardev=console',
    ],
    ...['-device', 'virtio-serial-pci,id=serial-bus,bus=pcie.0,addr=0x3'],
    ...['-device', 'virtserialport,id=agent-port,bus=serial-bus.0,nr=1,chardev=agent,name=org.qemu.guest_agent.0'],
    ...['-object', 'rng-builtin,id=random', '-device', 'virtio-rng-pci,id=rng,rng=random,bus=pcie.0,addr=0x5'],
  ]
}

function rootPorts({ nics, disks }: MachineSpec, from: MachinePlan['from']): string[] {
  const highestNic = Math.max(-1, ...nics.map(nic => nic.deviceId))
  const highestDisk = Math.max(...disks.map(each => each.deviceId))
  const diskPorts = Math.min(highestDeviceId, Math.max(leastDiskPorts, highestDisk + sparePorts))
  return [
    ...slots('nic', 0x10, 0x10, from?.nicPorts ?? Math.min(mostNics, highestNic + 1 + sparePorts)),
    ...slots('disk', 0x12, 0x40, from?.diskPorts ?? diskPorts),
    ...port('seed-port', 0x1d, 0, 0x80),
  ]
}

/** Eight ports to a slot, as functions of it. Numbers of their own tell the guest's hot-plug driver them apart. */
function slots(kind: string, firstSlot: number, firstChassis: number, count: number): string[] {
  const indexes = Array.from({ length: count }, (_, index) => index)
  return indexes.flatMap(index =>
    port(`${kind}-port-${index}`, firstSlot + Math.floor(index / 8), index % 8, firstChassis + index),
  )
}

function port(id: string, slot: number, fn: number, chassis: number): string[] {
  const place = `bus=pcie.0,addr=0x${slot.toString(16)}.0x${fn}${fn === 0 ? ',multifunction=on' : ''}`
  return ['-device', `pcie-root-port,id=${id},${place},chassis=${chassis},slot=${chassis}`]
}

function disk(spec: DiskSpec): string[] {
  return [...machineNodes(spec.deviceId, spec.chain).flatMap(asNode), ...asDevice(diskDevice(spec))]
}

/** The device in front of nothing, which is given what it shows when that is known. */
function laterDisk(spec: DiskSpec): string[] {
  const drive = laterName(diskId(spec.deviceId))
  return [...asNode(nothingYet(drive, false)), ...asDevice({ ...diskDevice(spec), drive })]
}

export const laterName = (device: string) => `later-${device}`

/** A guest would notice that it may write what it could not, or the other way round. */
function nothingYet(name: string, readOnly: boolean): BlockNode {
  return { 'node-name': name, driver: 'null-co', size: 2 ** 20, 'read-only': readOnly }
}

function asNode(node: BlockNode): string[] {
  return ['-blockdev', JSON.stringify(node)]
}

type Device = { readonly driver: string } & Readonly<Record<string, string | number>>

function asDevice({ driver, ...properties }: Device): string[] {
  return ['-device', [driver, ...Object.entries(properties).map(([name, value]) => `${name}=${value}`)].join(',')]
}

/** The device that the guest sees, for the command line and for hot-plug alike. */
export function diskDevice({ deviceId, chain, serial }: DiskSpec): Device {
  const place = deviceId === 0 ? { bus: 'pcie.0', addr: '0x4', bootindex: 1 } : { bus: diskPort(deviceId), addr: '0x0' }
  return {
    driver: 'virtio-blk-pci',
    id: diskId(deviceId),
    drive: tipName(deviceId, chain),
    ...place,
    ...(serial && { serial: serial.slice(0, 20) }), // virtio-blk has room for 20 (virtio 1.1, 5.2.6)
  }
}

export function diskId(deviceId: number): string {
  return `disk${deviceId}`
}

export function diskPort(deviceId: number): string {
  return `disk-port-${deviceId - 1}`
}

/** A disk and no CD drive: every guest that reads its root disk has the driver. Behind the others, to be vda to none. */
export const seedId = 'seed-disk'
export const seedName = 'seed'
const seedDisk: Device = {
  driver: 'virtio-blk-pci',
  id: seedId,
  drive: seedName,
  bus: 'seed-port',
  addr: '0x0',
}

export function seedNode(folder: MachineFolder): BlockNode {
  const file = { driver: 'file', filename: folder.seed, 'read-only': true }
  return { 'node-name': seedName, driver: 'raw', file, 'read-only': true }
}

function netdev(nic: NicSpec, spec: MachineSpec, ports: SshPorts): string[] {
  return ['-netdev', nic.kind === 'network' ? tap(nic, spec) : asWords(userNetdev(nic, ports[nic.id]))]
}

function tap({ id }: NetworkNicSpec, { nics }: MachineSpec): string {
  return `tap,id=${netdevName(id)},fd=${plugsOf(nics).find(plug => plug.nic.id === id)?.fd}`
}

/**
 * What a card with a network of its own is connected to, for the command line and for hot-plug alike. Unless restricted, QEMU carries
 * the guest's connections as its own: to the host's services and its private networks too.
 */
export function userNetdev({ id, outward, plan, silent }: NatNicSpec, sshPort: number | undefined) {
  return {
    type: 'user',
    id: netdevName(id),
    restrict: !outward || silent === true,
    ...(plan && { net: plan.cidr, host: plan.gateway, dhcpstart: plan.address }),
    ...(sshPort !== undefined && { hostfwd: [{ str: `tcp:127.0.0.1:${sshPort}-:22` }] }),
  }
}

function asWords({ type, id, restrict, hostfwd, ...addresses }: ReturnType<typeof userNetdev>): string {
  const words = Object.entries(addresses).map(([name, value]) => `${name}=${value}`)
  const forwards = (hostfwd ?? []).map(({ str }) => `hostfwd=${str}`)
  return [type, `id=${id}`, `restrict=${restrict ? 'on' : 'off'}`, ...words, ...forwards].join(',')
}

/** The device that the guest sees, for the command line and for hot-plug alike. */
export function nicDevice({ id, deviceId, mac }: NicSpec): Device {
  const place = { bus: nicPort(deviceId), addr: '0x0' }
  return { driver: 'virtio-net-pci', id: nicDeviceId(deviceId), netdev: netdevName(id), mac, ...place }
}

export const netdevName = (nic: NicId) => `nic-${nic}`
export const nicDeviceId = (deviceId: number) => `nic${deviceId}`
export const nicPort = (deviceId: number) => `nic-port-${deviceId}`

/** The machine that a command line of ours is for; null for any other command line. */
export function machineOfArguments(
  args: readonly string[],
  runDirectory: string,
): { vm: string; isSuccessor: boolean } | null {
  const vm = args[args.indexOf('-uuid') + 1]
  const lock = args[args.indexOf('-pidfile') + 1]
  if (!vm) return null
  const own = `${runDirectory}/${vm}/run/lock`
  return lock === own || lock === `${own}.next` ? { vm, isSuccessor: lock !== own } : null
}
