// A machine is frozen: it ends at an instant that its memory image holds, and others, or it itself, go on from there. A machine that
// booted leaves its memory as it is, for nobody will write it any more; one that went on from an image is copied.
//
// From the moment that the image is whole the machine must not run: it would write into the image. A file beside it says so, and who
// finds it alive ends it.
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import type { MemoryImageFacts, Progress } from '../../driver.ts'
import { DeviceState } from '../memory/device-state.ts'
import type { MachineFolder } from './machine-folder.ts'
import type { Machine } from './machine.ts'
import { beginImageOf, discardImage, type ImageAt, memoryFiles, publishImage } from '../memory/memory-files.ts'
import { ownMemory } from '../memory/own-memory.ts'
import type { Identity } from '../process/privileges.ts'
import { killAndWait } from '../process/process.ts'
import { problems } from '../problems.ts'
import { goOn, saveMemory } from '../memory/save-memory.ts'
import { shapeOf } from './shape.ts'

const killLimitMs = 10_000

export async function freezeMachine(
  machine: Machine,
  image: ImageAt,
  identity: Identity | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<MemoryImageFacts> {
  signal.throwIfAborted()
  const { folder } = machine.found
  await discardImage(image)
  await writeFile(folder.frozen, memoryFiles(image).manifest, { mode: 0o600 })
  try {
    const facts = (await ownMemory(machine))
      ? await leaveMemory(machine, image, identity)
      : (await saveMemory(machine, image, false, identity, async () => {}, progress, signal, 'stays')).memory
    machine.quiet = true
    if (!(await killAndWait(machine.found.process, killLimitMs))) throw problems.cannotStop(machine.vm)
    await rm(folder.frozen, { force: true })
    return facts
  } catch (error) {
    await discardImage(image).catch(() => {}) // the first failure is the one to tell
    await rm(folder.frozen, { force: true })
    if (machine.alive) await goOn(await machine.monitor())
    machine.quiet = false
    throw error
  }
}

async function leaveMemory(machine: Machine, image: ImageAt, identity: Identity | null): Promise<MemoryImageFacts> {
  const shape = await shapeOf(machine)
  const files = await beginImageOf(image, machine.found.folder.ram)
  const devices = await DeviceState.prepare(machine, shape.memoryMib * 2 ** 20, identity)
  try {
    await writeFile(files.state, await devices.take(), { mode: 0o600 })
    return await publishImage(image, { shape, quiesced: false })
  } finally {
    await devices.close()
  }
}

/** Whether an earlier server froze it, and only did not end it. Where it did not get that far, the machine may run. */
export async function isFrozen(folder: MachineFolder): Promise<boolean> {
  const manifest = await readFile(folder.frozen, 'utf8').catch(() => null)
  if (manifest === null) return false
  return stat(manifest).then(
    () => true,
    () => false,
  )
}
