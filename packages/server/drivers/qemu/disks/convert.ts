// Copies what one image shows into another by qemu-img, which starts from an empty disk of ours: see layers.ts for who may read what.
import type { Progress } from '../../driver.ts'
import { problems } from '../problems.ts'
import { lastLine, runTool } from '../process/tools.ts'
import type { ToolRun } from '../process/tools.ts'

/** An empty disk that is there: qemu-img need not create a file, nor write zeros to what is zero. */
export function flatTarget(path: string): string[] {
  return ['-n', '--target-is-zero', path]
}

/** `target`: options, and the file last. `folder` is named when it is full. */
export async function convert(
  source: string,
  target: readonly string[],
  folder: string,
  run: ToolRun,
  progress: Progress,
): Promise<void> {
  const onOutput = (text: string) => reportPercent(text, progress)
  const words = ['convert', '-W', '-m', '8', '-p', '-O', 'qcow2', ...target.slice(0, -1), source, ...target.slice(-1)]
  const { code, stderr } = await runTool('qemu-img', words, { ...run, onOutput })
  if (code === 0) return progress(100)
  throw imageProblem('qemu-img convert', stderr, folder)
}

/** What qemu-img said, in the user's words. */
export function imageProblem(tool: string, stderr: string, folder: string): unknown {
  if (/No space left|Disk quota exceeded/.test(stderr)) return problems.poolFull(folder)
  if (/Failed to get .* lock/.test(stderr)) return problems.layerInUse(new Error(lastLine(stderr)))
  return problems.toolFailed(tool, lastLine(stderr))
}

/** qemu-img writes `    (12.34/100%)\r` over and over. */
function reportPercent(text: string, progress: Progress): void {
  const last = [...text.matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)].at(-1)
  if (last) progress(Math.min(99, Number(last[1])))
}
