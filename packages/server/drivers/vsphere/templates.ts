// A machine or template of the inventory becomes what linked clones stand on: it needs one snapshot that never goes, and that carries our id.
import { Problem } from '@ramet/core/problem.ts'
import { telling } from './problems.ts'
import { type SnapshotNode, describeSnapshot, readSnapshots, takeSnapshot } from './snapshots.ts'
import type { RunOptions, Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

export const baseName = 'cloud.template.base'

export interface Place {
  readonly pool: Ref
  readonly host: Ref
}

/**
 * The base snapshot: the one that is there, else a new one. A template takes no snapshot, so it is a machine for a moment; at the end
 * it is a template whatever it was before.
 */
export function adoptTemplate(
  vcenter: Vcenter,
  vm: Ref<'VirtualMachine'>,
  id: string,
  place: Place,
  options?: RunOptions,
): Promise<SnapshotNode> {
  return telling('The template', async () => {
    const present = (await readSnapshots(vcenter, vm)).find(each => each.name === baseName || each.id === id)
    if (present && present.id !== null && present.id !== id) throw taken()
    if (present?.id !== id && (await isTemplate(vcenter, vm))) await vcenter.call(vm, 'MarkAsVirtualMachine', place)
    const base =
      present ?? (await takeSnapshot(vcenter, vm, { id, name: baseName, memory: false, quiesce: false }, options))
    if (base.id !== id) await describeSnapshot(vcenter, base.ref, id)
    if (!(await isTemplate(vcenter, vm))) await vcenter.call(vm, 'MarkAsTemplate', {})
    return { ...base, id }
  })
}

async function isTemplate({ connection }: Vcenter, vm: Ref<'VirtualMachine'>): Promise<boolean> {
  return (await readObject(connection, vm, ['config.template']))['config.template'] === true
}

function taken(): Problem {
  return new Problem(
    'in-use',
    'vsphere-template-taken',
    'The machine is a template of Ramet already, under another id; delete that template first, or use it',
  )
}
