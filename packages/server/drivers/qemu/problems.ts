// The driver's errors: a kind that says what the caller may do, a stable code, and a sentence that helps.
import { Problem } from '@ramet/core/problem.ts'

export const problems = {
  pathTooLong: (path: string, limit: number) =>
    new Problem(
      'invalid',
      'data-directory-too-long',
      `The folder ${path} is too long: machines have sockets in it, and a socket's path has at most 107 bytes. Choose a data directory that makes it ${limit} bytes or shorter`,
    ),
  pathNotAbsolute: (path: string) =>
    new Problem('invalid', 'data-directory-relative', `The folder for machines must be an absolute path, not ${path}`),
  qemuMissing: (tool: string, cause: unknown) =>
    new Problem(
      'unavailable',
      'qemu-missing',
      `${tool} cannot be run; install the packages qemu-system-x86 and qemu-utils`,
      { cause },
    ),
  startFailed: (said: string, cause?: unknown) =>
    new Problem('unavailable', 'qemu-start-failed', `QEMU could not start the machine${said ? `: ${said}` : ''}`, {
      cause,
    }),
  memoryFull: (path: string, mib: number, freeMib: number) =>
    new Problem(
      'no-capacity',
      'memory-full',
      `${mib} MiB of memory are needed, and ${path} has ${freeMib} MiB left that nobody was promised. Stop machines, destroy clones or unfreeze a source there, or enlarge it`,
    ),
  hostMemoryFull: (mib: number, freeMib: number) =>
    new Problem(
      'no-capacity',
      'memory-full',
      `${mib} MiB of memory are needed, and the host has ${freeMib} MiB left that nobody was promised; it would swap. Stop machines, destroy clones or unfreeze a source there`,
    ),
  machineOff: (vm: string) =>
    new Problem(
      'refused',
      'machine-off',
      `The machine ${vm} is off; only a running one has disks to cut or memory to save`,
    ),
  machinePaused: (status: string) =>
    new Problem(
      'refused',
      'machine-paused',
      `The machine stands still (${status}), mostly because its pool is full; its memory can be saved once it runs`,
    ),
  otherLayer: (deviceId: number) =>
    new Problem('refused', 'other-layer', `Disk ${deviceId} does not write the layer that was to be cut`),
  notBelow: (onto: string, into: string) =>
    new Problem(
      'refused',
      'not-below',
      `Layer ${into} stands not on ${onto} by way of another; there is nothing to merge`,
    ),
  memoryNotSaved: () =>
    new Problem(
      'refused',
      'memory-not-saved',
      'The disks were cut, but the memory of that instant was not saved; take the snapshot again',
    ),
  memoryNotSent: (why: string, cause?: unknown) =>
    new Problem('unavailable', 'memory-not-sent', `QEMU could not save the memory of the machine: ${why}`, { cause }),
  memoryImageMissing: (id: string) =>
    new Problem(
      'unavailable',
      'memory-image-missing',
      `The memory image ${id} is not in its storage pool, or only half`,
    ),
  memoryDoesNotFit: (why: string) =>
    new Problem(
      'refused',
      'memory-does-not-fit',
      `The machine cannot go on from this memory. ${why}. Its disks alone can be reverted`,
    ),
  oneHost: () =>
    new Problem('refused', 'cannot-migrate', 'QEMU runs machines on this host only; there is none to migrate to'),
  stillRunning: (vm: string) =>
    new Problem('refused', 'machine-running', `The machine ${vm} runs; its files can be removed once it is stopped`),
  cannotStop: (vm: string) =>
    new Problem('unavailable', 'machine-not-stopping', `The process of machine ${vm} does not end, not even by force`),
  monitorSilent: (what: string, cause?: unknown) =>
    new Problem('unavailable', 'qemu-silent', `QEMU does not answer ${what}`, { cause }),
  monitorHangs: (command: string, seconds: number) =>
    new Problem(
      'unavailable',
      'qemu-silent',
      `QEMU does not answer ${command} within ${seconds} s. Try again; a machine that hangs can be stopped with forced=true`,
    ),
  monitorRefused: (why: string) => new Problem('internal', 'qemu-refused', `QEMU refused a command: ${why}`),
  agentSilent: () => new Problem('unavailable', 'guest-agent-silent', 'The guest agent does not answer'),
  agentRefused: (command: string, why: string) =>
    new Problem('unavailable', 'guest-agent-refused', `The guest agent refused ${command}: ${why}`),
  layerMissing: (id: string) =>
    new Problem('unavailable', 'layer-missing', `The disk layer ${id} is not in its storage pool`),
  layerDamaged: (id: string) =>
    new Problem(
      'unavailable',
      'layer-damaged',
      `The disk layer ${id} is not a disk that Ramet wrote; restore it or destroy its machine`,
    ),
  layerSmaller: (id: string, bytes: number) =>
    new Problem(
      'invalid',
      'layer-smaller',
      `The disk layer ${id} cannot be smaller than the ${bytes} bytes of the disk that it starts from`,
    ),
  layerInUse: (cause: unknown) =>
    new Problem('in-use', 'layer-in-use', 'The disk is being written by a running machine; stop the machine first', {
      cause,
    }),
  layerHasData: (end: number) =>
    new Problem(
      'refused',
      'disk-has-data',
      `The disk holds data up to byte ${end} (${Math.ceil(end / 2 ** 30)} GiB); it cannot end before that. Make its partitions and file systems smaller in the guest, and let the guest discard what it does not use (fstrim)`,
    ),
  layerBelowBase: (bytes: number) =>
    new Problem(
      'refused',
      'disk-below-base',
      `The disk is a linked clone of a disk of ${bytes} bytes (${Math.ceil(bytes / 2 ** 30)} GiB), and cannot become smaller than that`,
    ),
  guestHoldsDisk: (deviceId: number, seconds: number) =>
    new Problem(
      'unavailable',
      'guest-holds-disk',
      `The guest did not let go of disk ${deviceId} within ${seconds} s: it is still starting, or has no driver for hot-plug. Try again later, or stop the machine first`,
    ),
  noPort: (deviceId: number) =>
    new Problem(
      'refused',
      'no-free-port',
      `The running machine has no place for disk ${deviceId}: its places were made when it started. Stop it, attach the volume, and start it again`,
    ),
  otherDisk: (deviceId: number) =>
    new Problem(
      'in-use',
      'device-in-use',
      `The running machine has another disk at place ${deviceId}; choose another deviceid, or stop the machine first`,
    ),
  guestHoldsNic: (deviceId: number, seconds: number) =>
    new Problem(
      'unavailable',
      'guest-holds-nic',
      `The guest did not let go of network card ${deviceId} within ${seconds} s: it is still starting, or has no driver for hot-plug. Try again later, or stop the machine first`,
    ),
  noNicPort: (deviceId: number) =>
    new Problem(
      'refused',
      'no-free-port',
      `The running machine has no place for network card ${deviceId}: its places were made when it started. Stop it, add the card, and start it again`,
    ),
  otherNic: (deviceId: number) =>
    new Problem(
      'in-use',
      'device-in-use',
      `The running machine has another network card at place ${deviceId}; stop it first`,
    ),
  noTapSocket: (cause: unknown) =>
    new Problem(
      'refused',
      'started-by-older-version',
      'The running machine takes no network card: it was started by an older version. Stop it and start it again',
      { cause },
    ),
  tapNotGiven: (why: string) =>
    new Problem('unavailable', 'tap-not-given', `The network card cannot be plugged in: ${why}`),
  diskNotThere: (deviceId: number) =>
    new Problem('refused', 'disk-not-there', `The running machine has no disk ${deviceId}; stop and start it first`),
  onlyGrows: (deviceId: number) =>
    new Problem(
      'refused',
      'disk-only-grows',
      `Disk ${deviceId} is in a running machine, and can only grow there; stop the machine first`,
    ),
  isoMissing: (file: string, cause: unknown) =>
    new Problem(
      'unavailable',
      'iso-missing',
      `The CD image ${file} cannot be read; mount its secondary storage or restore the file, or take the ISO out with detachIso`,
      { cause },
    ),
  noCdrom: () =>
    new Problem(
      'refused',
      'no-cdrom',
      'The running machine has no CD-ROM drive: it was started by an older version. Stop it and start it again',
    ),
  guestHoldsCdrom: (seconds: number) =>
    new Problem(
      'unavailable',
      'guest-holds-cdrom',
      `The guest did not let go of its CD within ${seconds} s; unmount it there, or ask again with forced=true`,
    ),
  poolMissing: (path: string, mark: string | null) =>
    new Problem(
      'unavailable',
      'pool-missing',
      `The storage pool at ${path} is not there: ${mark ? `the folder is marked as ${mark}'s` : 'the folder is missing or empty'}. Mount its file system, or restore it from a backup`,
    ),
  mergeFailed: (why: string) => new Problem('unavailable', 'merge-failed', `QEMU could not merge the layers: ${why}`),
  poolFull: (path: string, cause?: unknown) =>
    new Problem('no-capacity', 'pool-full', `The storage pool at ${path} is full; free space in it or add another`, {
      cause,
    }),
  toolFailed: (tool: string, said: string, cause?: unknown) =>
    new Problem('internal', 'tool-failed', `${tool} failed${said ? `: ${said}` : ''}`, { cause }),
  toolTooSlow: (tool: string, seconds: number) =>
    new Problem('unavailable', 'tool-timeout', `${tool} did not finish in ${seconds} s`),
  cancelled: (cause?: unknown) => new Problem('cancelled', 'cancelled', 'The operation was cancelled', { cause }),
  noNetworks: (why: string) => new Problem('unsupported', 'no-networks', why),
  noWayOut: (why: string) =>
    new Problem('unsupported', 'no-way-out', `The network leads outwards, and cannot here: ${why}`),
  noNetwork: (id: string) => new Problem('unavailable', 'network-missing', `There is no network ${id} on this host`),
  networkFailed: (id: string, why: string) =>
    new Problem('unavailable', 'network-failed', `The network ${id} cannot serve addresses: ${why}`),
  networkInUse: (id: string) =>
    new Problem('in-use', 'network-in-use', `Running machines are in the network ${id}; stop them first`),
  badNetwork: (cidr: string, gateway: string) =>
    new Problem(
      'invalid',
      'bad-network',
      `${cidr} is no network such as 10.1.1.0/24, or its gateway ${gateway} is not in it`,
    ),
  addressTaken: (id: string, address: string) =>
    new Problem('in-use', 'address-in-use', `Another card in the network ${id} has the address ${address}, or its MAC`),
  addressOutside: (cidr: string, address: string) =>
    new Problem('invalid', 'address-outside', `${address} is no address of a machine in ${cidr}`),
  portTaken: (address: string, port: number) =>
    new Problem('in-use', 'port-in-use', `Port ${port} of ${address} is taken; choose another`),
  portNotOurs: (address: string, port: number, why: string) =>
    new Problem('invalid', 'bad-port', `Port ${port} of ${address} cannot be forwarded: ${why}`),
  keeperFailed: (why: string) =>
    new Problem(
      'unavailable',
      'keeper-failed',
      `The process that keeps the networks of an ordinary user fails: ${why}`,
    ),
  forwarderSilent: (cause?: unknown) =>
    new Problem('unavailable', 'forwarder-silent', 'The program that forwards ports does not answer', { cause }),
  image: (code: `image-${string}`, message: string, cause?: unknown) =>
    new Problem('invalid', code, message, { cause }),
}

/** True when `error` is a system error with one of these codes. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
