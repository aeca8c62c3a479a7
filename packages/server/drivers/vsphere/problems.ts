// A server's faults as problems of ours: a kind that says what the caller may do, a stable code, a sentence that names the thing.
import { Problem } from '@ramet/core/problem.ts'
import { UnknownToServer } from './vim25/encode.ts'
import { ServerSilent, VimFault, isFault } from './vim25/faults.ts'
import { OutcomeUnknown } from './vim25/tasks.ts'
import { UntrustedServer } from './vim25/transport.ts'

export const problems = {
  silent: (cause: unknown) =>
    new Problem('unavailable', 'vsphere-silent', `vSphere does not answer: ${textOf(cause)}`, { cause }),
  outcomeUnknown: (cause: unknown) =>
    new Problem(
      'unavailable',
      'vsphere-outcome-unknown',
      `Nobody knows whether vSphere has done it: ${textOf(cause)}`,
      { cause },
    ),
  untrusted: (cause: unknown) => new Problem('refused', 'vsphere-untrusted', textOf(cause), { cause }),
  tooOld: (cause: unknown) =>
    new Problem('unsupported', 'vsphere-too-old', `The vSphere server is too old for this: ${textOf(cause)}`, {
      cause,
    }),
  login: (cause: unknown) =>
    new Problem(
      'refused',
      'vsphere-login',
      'vSphere does not accept the user name and password; it is not tried again, so that the account is not locked',
      { cause },
    ),
  forbidden: (privilege: string, cause: unknown) =>
    new Problem(
      'refused',
      'vsphere-forbidden',
      `Ramet's user in vSphere lacks the privilege ${privilege}; give it a role that has it`,
      { cause },
    ),
  busy: (what: string, cause: unknown) =>
    new Problem('busy', 'vsphere-busy', `${what} is at work in another vSphere task; try again when that has ended`, {
      cause,
    }),
  nameTaken: (name: string, cause?: unknown) =>
    new Problem(
      'in-use',
      'vsphere-name-taken',
      `vSphere already has something named ${name} in that folder; choose another name`,
      { cause },
    ),
  maintenance: (host: string) =>
    new Problem(
      'refused',
      'vsphere-maintenance',
      `The host ${host} is in maintenance mode; choose another, or end its maintenance`,
    ),
  noNetwork: (name: string) =>
    new Problem(
      'refused',
      'vsphere-no-network',
      `No host of the cluster has a network ${name}; vSphere's own client shows which there are`,
    ),
  networkElsewhere: (name: string, host: string, others: readonly string[]) =>
    new Problem(
      'refused',
      'vsphere-no-network',
      `The host ${host} has no network ${name}; of the cluster ${others.join(', ')} have it: name one as hostid`,
    ),
  noCluster: (name: string, count: number, known: string) =>
    new Problem(
      'invalid',
      'vsphere-no-cluster',
      count === 0
        ? `vSphere has no cluster ${name}; it has ${known || 'none'}`
        : `vSphere has ${count} clusters named ${name}; say which: ${known}`,
    ),
  linkedGrows: () =>
    new Problem(
      'refused',
      'vsphere-linked-disk',
      'vSphere does not let the disk of a linked clone grow; ask for a full clone, or for the size of the template',
    ),
  inUse: (what: string, above: string) =>
    new Problem('in-use', 'vsphere-in-use', `${what} stays while the machine ${above} stands on its disks`),
  seedInUse: (above: string) =>
    new Problem('in-use', 'seed-in-use', `The seed of the VM snapshot stays while the machine ${above} stands on it`),
  diskInUse: (machine: string) =>
    new Problem('in-use', 'disk-in-use', `The machine ${machine} has the disk; detach it there first`),
  diskInSnapshot: () =>
    new Problem(
      'in-use',
      'disk-in-snapshot',
      'A VM snapshot of the machine stands on the disk, perhaps one that somebody took in vSphere; delete it first',
    ),
  noIso: () =>
    new Problem(
      'unsupported',
      'vsphere-no-iso',
      'An ISO that Ramet holds cannot be put into a machine on vSphere; put it on a datastore, and into the drive by vSphere itself',
    ),
  noSpace: (datastore: string, cause: unknown) =>
    new Problem('no-capacity', 'vsphere-datastore-full', `The datastore ${datastore} is full`, { cause }),
  fileLocked: (file: string, cause: unknown) =>
    new Problem('busy', 'vsphere-file-locked', `The file ${file} is in use, often by a backup; try again later`, {
      cause,
    }),
  gone: (what: string, cause: unknown) =>
    new Problem('unavailable', 'vsphere-gone', `vSphere no longer has ${what}`, { cause }),
  noResources: (cause: unknown) =>
    new Problem('no-capacity', 'vsphere-no-resources', `No host has room for it: ${textOf(cause)}`, { cause }),
  tooManyLevels: (what: string, cause: unknown) =>
    new Problem(
      'refused',
      'vsphere-snapshot-levels',
      `${what} has 32 VM snapshots one upon the other, which is all that vSphere allows; delete some`,
      { cause },
    ),
  deltaLimit: (what: string, depth: number) =>
    new Problem(
      'refused',
      'vsphere-delta-limit',
      `A disk of ${what} is ${depth} files deep, for each instant clone of a running machine adds one, and vSphere allows 255. Shorten it with consolidateVirtualMachine, or freeze the machine from inside its guest: instant clones of a frozen one add none`,
    ),
  snapshotsInTheWay: (count: number, above: string) =>
    new Problem(
      'refused',
      'vsphere-snapshots-in-the-way',
      `The machine ${above} stands on the files that would go, so the disks must be copied, and vSphere copies none of a machine that has snapshots: delete its ${count} VM snapshots and expunge its linked clones, or convert them, first`,
    ),
  wrongState: (what: string, cause: unknown) =>
    new Problem('refused', 'vsphere-wrong-state', `${what} is not in a state for this: ${textOf(cause)}`, { cause }),
  unsupported: (what: string, cause?: unknown) =>
    new Problem('unsupported', 'vsphere-unsupported', `vSphere cannot do this: ${what}`, { cause }),
  notReached: (what: string) =>
    new Problem('unavailable', 'vsphere-state-not-reached', `vSphere says that it is done, and still ${what}`),
  notCustomized: (cause: unknown) =>
    new Problem(
      'refused',
      'vsphere-not-customized',
      `vSphere cannot customize the guest: ${textOf(cause)}. It needs VMware's tools, and the OS type that the template says; one without OS type is left as it is`,
      { cause },
    ),
  fault: (cause: unknown) => new Problem('internal', 'vsphere-fault', `vSphere answers: ${textOf(cause)}`, { cause }),
}

/** What went wrong with `what`, for the user. */
export function vsphereProblem(error: unknown, what: string): unknown {
  if (error instanceof VimFault) return ofFault(error, what)
  if (error instanceof UntrustedServer) return problems.untrusted(error)
  if (error instanceof UnknownToServer) return problems.tooOld(error)
  if (error instanceof OutcomeUnknown) return problems.outcomeUnknown(error)
  if (error instanceof ServerSilent) return error.sent ? problems.outcomeUnknown(error) : problems.silent(error)
  return error
}

function ofFault(error: VimFault, what: string): Problem {
  const told = (field: string) => textIn(error.fault[field])
  if (isFault(error, 'InvalidLogin')) return problems.login(error)
  if (isFault(error, 'NotAuthenticated', 'HostCommunication', 'Timedout')) return problems.silent(error)
  if (isFault(error, 'NoPermission')) return problems.forbidden(told('privilegeId') || 'that it needs', error)
  if (isFault(error, 'TaskInProgress', 'ResourceInUse', 'ConcurrentAccess')) return problems.busy(what, error)
  if (isFault(error, 'DuplicateName', 'AlreadyExists')) return problems.nameTaken(told('name') || what, error)
  if (isFault(error, 'NoDiskSpace')) return problems.noSpace(told('datastore') || told('file'), error)
  if (isFault(error, 'FileLocked', 'CannotAccessFile')) return problems.fileLocked(told('file'), error)
  if (isFault(error, 'ManagedObjectNotFound', 'FileNotFound', 'NotFound')) return problems.gone(what, error)
  if (isFault(error, 'InsufficientResourcesFault')) return problems.noResources(error)
  if (isFault(error, 'TooManySnapshotLevels')) return problems.tooManyLevels(what, error)
  if (isFault(error, 'MethodNotFound', 'NotSupported', 'RestrictedVersion')) return problems.unsupported(what, error)
  if (isFault(error, 'InvalidState', 'MethodDisabled', 'MigrationFault')) return problems.wrongState(what, error)
  if (isFault(error, 'CustomizationFault')) return problems.notCustomized(error)
  return problems.fault(error)
}

/** Runs `act`; what it meets is told as a problem with `what`. */
export async function telling<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    throw vsphereProblem(error, what)
  }
}

type Calls = Record<string, (...args: never[]) => unknown>

/** The same calls; what none of their parts has told as a problem is told as one with `what`. */
export function tellingAll<T extends object>(what: string, calls: T): T {
  const told = Object.entries(calls as Calls).map(([name, call]) => [
    name,
    (...args: never[]) => {
      const result = call(...args)
      return result instanceof Promise ? telling(what, () => result) : result
    },
  ])
  return Object.fromEntries(told) as T
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
