// A machine or template of the inventory becomes what linked clones stand on: it needs one snapshot that never goes.
import { telling } from './problems.ts'
import { type SnapshotNode, readSnapshots, takeSnapshot } from './snapshots.ts'
import type { Vcenter } from './vcenter.ts'
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
): Promise<SnapshotNode> {
  return telling('The template', async () => {
    const present = (await readSnapshots(vcenter, vm)).find(each => each.name === baseName || each.id === id)
    const wish = { id, name: baseName, memory: false, quiesce: false }
    if (!present && (await isTemplate(vcenter, vm))) await vcenter.call(vm, 'MarkAsVirtualMachine', place)
    const base = present ?? (await takeSnapshot(vcenter, vm, wish))
    if (!(await isTemplate(vcenter, vm))) await vcenter.call(vm, 'MarkAsTemplate', {})
    return base
  })
}

async function isTemplate({ connection }: Vcenter, vm: Ref<'VirtualMachine'>): Promise<boolean> {
  return (await readObject(connection, vm, ['config.template']))['config.template'] === true
}
