// A layer made larger or smaller while no machine has it open. What it holds beyond its new end would be lost, so it is looked for
// first: a disk is somebody's only copy.
import type { LayerChain, LayerFacts } from '../../driver.ts'
import { chainAsFilename, tipOf, writableChainAsFilename } from './blockdev.ts'
import { imageProblem } from './convert.ts'
import { factsOf } from './layer-files.ts'
import type { Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { runTool } from '../process/tools.ts'

export async function resizeLayer(
  chain: LayerChain,
  virtualBytes: number,
  owner: Identity | null,
): Promise<LayerFacts> {
  const tip = tipOf(chain)
  const { virtualBytes: now } = await factsOf(tip)
  if (virtualBytes < now) await refuseToCut(chain, virtualBytes, owner)
  if (virtualBytes !== now) {
    const shrink = virtualBytes < now ? ['--shrink'] : []
    const words = ['resize', '-q', ...shrink, writableChainAsFilename(chain), String(virtualBytes)]
    const { code, stderr } = await runTool('qemu-img', words, { identity: owner })
    if (code !== 0) throw imageProblem('qemu-img resize', stderr, tip.pool.path)
  }
  return factsOf(tip)
}

/** A linked clone that was cut below its base would show the base again when it grows. */
async function refuseToCut(chain: LayerChain, virtualBytes: number, owner: Identity | null): Promise<void> {
  const below = chain.at(-2)
  const base = below ? (await factsOf(below)).virtualBytes : 0
  if (virtualBytes < base) throw problems.layerBelowBase(base)
  const end = await endOfData(chain, virtualBytes, owner)
  if (end > virtualBytes) throw problems.layerHasData(end)
}

/** Where the last data at or behind `from` end; 0 where there are none. The answer may be long, so it is read as it comes. */
async function endOfData(chain: LayerChain, from: number, owner: Identity | null): Promise<number> {
  let end = 0
  let rest = ''
  const onOutput = (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) end = Math.max(end, endOfExtent(line))
  }
  const words = ['map', '--output=json', `--start-offset=${from}`, chainAsFilename(chain)]
  const { code, stderr } = await runTool('qemu-img', words, { identity: owner, onOutput })
  if (code !== 0) throw imageProblem('qemu-img map', stderr, tipOf(chain).pool.path)
  return Math.max(end, endOfExtent(rest))
}

/** One line of qemu-img's map: `{ "start": 0, "length": 65536, …, "zero": false, "data": true, …},` */
function endOfExtent(line: string): number {
  const [, start, length, data] = /"start": (\d+), "length": (\d+),.*"data": (true|false)/.exec(line) ?? []
  return data === 'true' ? Number(start) + Number(length) : 0
}
