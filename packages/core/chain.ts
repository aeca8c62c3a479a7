// The chain of layers that a disk consists of, base first, and how it is made shorter or its machine's own. Only copying downwards is
// planned: what is below goes into a layer above it, which nobody but the machine in question may stand on. So whoever else reads
// the lower layers sees no change, and keeps them.
//
//   template's copy <- (others) <- own A <- own B <- own disk
// Independence puts all that is below A into A: B, the disk and their VM snapshots stand on it and notice nothing.
import type { LayerId } from './ids.ts'
import type { Layer } from './layer.ts'

export interface Link extends Pick<Layer, 'id' | 'named' | 'owned' | 'bytes'> {
  /** Nobody stands on it but disks and VM snapshots of the machine in question. What is above such a layer is the machine's own too. */
  readonly exclusive: boolean
  /** How many layers stand right on it. */
  readonly children: number
}

/** All that `into` shows of what is between goes into it, and it stands on `onto`; null: on nothing. */
export interface Flattening {
  readonly into: LayerId
  readonly onto: LayerId | null
  readonly between: readonly LayerId[]
  /** At most so many are copied. */
  readonly bytes: number
}

/** What makes the machine's part of the chain stand on nothing; null where it does. */
export function planIndependence(chain: readonly Link[]): Flattening | null {
  const lowest = chain.findIndex(({ exclusive }) => exclusive)
  return lowest > 0 ? flattening(chain, 0, lowest) : null
}

/**
 * What takes layers that nobody names out of the chain: those that carry only the next one, which can then go; `evenShared` also those
 * that carry others, which stay for these. A template's copy always stays, and so does what a VM snapshot names.
 */
export function planConsolidation(chain: readonly Link[], evenShared: boolean): Flattening[] {
  const goes = ({ named, owned, children }: Link) => owned && !named && (evenShared || children === 1)
  return chain.flatMap((link, at) => {
    const first = chain.slice(0, at).findLastIndex(each => !goes(each)) + 1
    return !goes(link) && first < at && link.exclusive ? [flattening(chain, first, at)] : []
  })
}

export function unnamedIn(chain: readonly Link[]): number {
  return chain.filter(({ named, owned }) => owned && !named).length
}

function flattening(chain: readonly Link[], first: number, at: number): Flattening {
  const between = chain.slice(first, at)
  const into = chain[at] as Link
  return {
    into: into.id,
    onto: chain[first - 1]?.id ?? null,
    between: between.map(({ id }) => id),
    bytes: between.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

/**
 * How so many more linked disks come to stand on a machine that carries some: of a `cut`, a new instant; of one that is `kept`, from the threshold
 * on; or, beyond what its hypervisor takes, not at all. Null: there is no such number.
 */
export function wayToClone(
  deltas: number,
  more: number,
  { threshold, most }: { readonly threshold: number | null; readonly most: number | null },
): 'cut' | 'kept' | 'none' {
  const after = deltas + more
  const atMost = most ?? Infinity
  if (threshold !== null && after > Math.min(threshold, atMost)) return 'kept'
  return more > 0 && after > atMost ? 'none' : 'cut'
}

export interface ChainFacts {
  readonly depth: number
  /** Layers that VM snapshots name. */
  readonly kept: number
  /** Layers that nobody names. */
  readonly unnamed: number
}

/** Why no further layer may stand on a chain, as a sentence; null when it may. */
export function chainRefusal({ depth, kept, unnamed }: ChainFacts, hypervisor: string, longest: number): string | null {
  if (depth < longest) return null
  const ways = [
    unnamed > 0 && `${unnamed} of them have no name, and go with consolidateVirtualMachine`,
    kept > 0 &&
      `${kept} of them are named by VM snapshots and cannot be consolidated: delete some with deleteVMSnapshot`,
    'convertVirtualMachineToFullClone makes a machine independent of the layers that it shares with others',
  ]
  return `The disk consists of ${depth} layers already, and ${hypervisor} takes ${longest} at most. ${ways.filter(Boolean).join('. ')}`
}
