// The simulated world on disk: every change is a line of one file, so that machines "run on" while the server stops, is killed,
// or is upgraded. A line is with the kernel before the call that made it answers; only a power cut can lose some.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeWhole } from '../../write-whole.ts'
import { newWorld, replay, type World, type WorldChange } from './world.ts'

export interface Kept {
  readonly world: World
  close(): void
}

export function journalIn(dataDir: string): string {
  return join(dataDir, 'simulated', 'world.jsonl')
}

/** The world as the last server left it, with every change from now on written down. */
export async function keepWorld(file: string): Promise<Kept> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const world = readWorld(file)
  await writeWhole(file, snapshotOf(world)) // what came and went does not pile up from start to start
  const journal = openSync(file, 'a', 0o600)
  world.note = what => void writeSync(journal, lineOf(what))
  return { world, close: () => closeSync(journal) }
}

/** What is written down, for one who only wants to know. A line that a crash cut short never happened. */
export function readWorld(file: string): World {
  const world = newWorld()
  for (const line of textOf(file).split('\n').slice(0, -1)) replay(world, JSON.parse(line) as WorldChange)
  return world
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function snapshotOf({ layers, memory, machines, networks, forwards, kept, failed }: World): string {
  const changes: WorldChange[] = [
    ...[...layers.values()].map(layer => ({ layer })),
    ...[...memory.values()].map(image => ({ memory: image })),
    ...[...machines.values()].map(machine => ({ machine })),
    ...[...networks.values()].map(network => ({ network })),
    ...[...forwards.values()].map(forward => ({ forward })),
    ...[...kept.values()].map(each => ({ kept: each })),
    { failed },
  ]
  return changes.map(lineOf).join('')
}

function lineOf(what: WorldChange): string {
  return `${JSON.stringify(what)}\n`
}
