// Full or linked: who decides, and how the decision is told (docs/decisions/0004-clone-type.md).

export type CloneType = 'full' | 'linked'
export const cloneTypes = ['full', 'linked'] as const satisfies readonly CloneType[]

/** What a clone of a machine may be besides: one that goes on from the memory of its source. */
export const waysToClone = [...cloneTypes, 'instant'] as const

export type Hypervisor = 'KVM' | 'VMware' | 'Hyperv' | 'Simulator'

/** The setting that decides where nothing nearer does, per hypervisor: true = full clones. */
export const fullCloneSetting = {
  KVM: 'kvm.create.full.clone',
  VMware: 'vmware.create.full.clone',
  Hyperv: 'hyperv.create.full.clone',
  Simulator: 'kvm.create.full.clone',
} as const satisfies Record<Hypervisor, string>

export interface CloneTypeVoices {
  readonly call?: CloneType | undefined
  readonly offering?: CloneType | null | undefined
  /** The pool's or, where it says nothing, the global value of `fullCloneSetting`. */
  readonly createFullClone: boolean
}

/** Nearest voice wins: the call, then the service offering, then the storage pool, then the global setting. */
export function decideCloneType({ call, offering, createFullClone }: CloneTypeVoices): CloneType {
  return call ?? offering ?? (createFullClone ? 'full' : 'linked')
}
