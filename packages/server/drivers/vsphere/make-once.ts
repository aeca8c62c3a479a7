// Makes a machine once, whatever is lost on the way: the machine itself carries our name for the act (an operation), and is looked for
// by name and operation before it is made, and again when nobody knows how the making ended.
import { operationKey } from './clone-spec.ts'
import { problems } from './problems.ts'
import type { Vcenter } from './vcenter.ts'
import { ServerSilent, isFault } from './vim25/faults.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'
import { OutcomeUnknown } from './vim25/tasks.ts'

export interface Making {
  readonly source: Ref<'VirtualMachine'>
  readonly folder: Ref
  readonly name: string
  readonly operation: string
}

export async function makeOnce(
  vcenter: Vcenter,
  making: Making,
  make: () => Promise<unknown>,
): Promise<Ref<'VirtualMachine'>> {
  try {
    return (await make()) as Ref<'VirtualMachine'>
  } catch (error) {
    if (!isUnknown(error) && !isFault(error, 'DuplicateName')) throw error
    await tasksEnd(vcenter, making.source)
    const made = await madeBefore(vcenter, making)
    if (made) return made
    throw error
  }
}

/** May it have been done, although we were not told? */
export function isUnknown(error: unknown): boolean {
  return error instanceof OutcomeUnknown || (error instanceof ServerSilent && error.sent)
}

/** Waits until the machine has no task: only then a thing that is missing was never made. */
export async function tasksEnd(vcenter: Vcenter, vm: Ref<'VirtualMachine'>): Promise<void> {
  const { recentTask = [] } = await readObject(vcenter.connection, vm, ['recentTask'])
  await Promise.allSettled(recentTask.map(task => vcenter.tasks.ended(task)))
}

/** The machine of an earlier try; a Problem where something else has the name. */
export async function madeBefore(vcenter: Vcenter, making: Making): Promise<Ref<'VirtualMachine'> | null> {
  const { folder, name, operation } = making
  const { searchIndex } = vcenter.connection.content
  if (searchIndex === undefined) return null
  const found = await vcenter.call(searchIndex, 'FindChild', { entity: folder, name })
  if (found === undefined) return null
  if (!found.startsWith('VirtualMachine:')) throw problems.nameTaken(name)
  const vm = found as Ref<'VirtualMachine'>
  const { 'config.extraConfig': extra = [] } = await readObject(vcenter.connection, vm, ['config.extraConfig'])
  if (extra.some(({ key, value }) => key === operationKey && value === operation)) return vm
  throw problems.nameTaken(name)
}
