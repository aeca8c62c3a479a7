// A clone of a machine whose hypervisor keeps its disks: full and linked ones as deployments are, instant ones running at once, on the host of
// their source. What stands on the source's disks is written down before it is made, so that the source stays.
import type { SpawnFacts } from '../drivers/forest.ts'
import type { MachineFacts } from '../drivers/driver.ts'
import type { Tx } from '../store/database.ts'
import { standOn } from '../store/clone-sources.ts'
import { demandAction, holdVm, setVm, type Vm } from '../store/vms.ts'
import { deepen } from '../store/volumes.ts'
import type { Settings } from '../settings.ts'
import type { CloneNode } from './clone-node.ts'
import type { RecordContext } from './define-job.ts'
import type { DeployVm } from './deploy-vm.ts'
import { memoryOfStopped } from './fork-vm.ts'

/** What was made, and of an instant clone how it runs. */
export interface Spawned extends SpawnFacts {
  readonly instant?: {
    readonly facts: MachineFacts
    readonly isOfFrozen: boolean
    readonly unconfirmed: readonly string[]
  }
}

/** The machine that is cloned, as it must be: it stays until the transaction ends, and then for as long as the clone stands on it. */
export async function holdSource(tx: Tx, clone: Vm, node: CloneNode, cloneType: 'full' | 'linked'): Promise<Vm> {
  const source = await holdVm(tx, node.vm)
  demandAction(source, 'clone')
  if (node.goesOn && source.state !== 'Running') throw memoryOfStopped(source)
  if (cloneType === 'linked') await standOn(tx, clone.id, source.id)
  return source
}

/** Answers what is told of it, for people. */
export async function publishInstantClone(
  { tx, input, settings }: RecordContext<DeployVm, object>,
  node: CloneNode,
  { isOfFrozen, unconfirmed }: NonNullable<Spawned['instant']>,
): Promise<string> {
  await setVm(tx, input.vm, { is_instant: true, customized: false, identity_problems: [...unconfirmed] })
  if (isOfFrozen) return 'of a frozen machine'
  const depth = await deepen(tx, node.vm)
  return ['of a running machine', ...adviceOn(depth, settings)].join(', ')
}

function adviceOn(depth: number, settings: Settings): string[] {
  if (depth < settings.number('instantclone.delta.threshold')) return []
  return [
    `whose disks are ${depth} files deep by its clones: consolidateVirtualMachine makes them shorter, and clones of a machine that is frozen from inside its guest cost it nothing`,
  ]
}
