// What is checked beside the tests: types, lint rules, format. Each counts as one test.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

export interface Check {
  readonly name: string
  readonly command: readonly [string, ...string[]]
}

export const checks: readonly Check[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint', command: ['oxlint', '--type-aware', 'packages', 'e2e', 'images'] },
  { name: 'format', command: ['biome', 'format', '--reporter=summary', '.'] },
]

/** What the check complains about; null when it is content. */
export async function complaintOf({ command: [program, ...args] }: Check, root: string): Promise<string | null> {
  const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` }
  const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const failedToStart = new Promise<string>(resolve => child.once('error', error => resolve(error.message)))
  const code = new Promise<number | null>(resolve => child.once('close', resolve))
  const ended = Promise.all([code, text(child.stdout), text(child.stderr)])
  const complaint = ended.then(([status, out, err]) => (status === 0 ? null : `${out}${err}`.trim()))
  return Promise.race([failedToStart, complaint])
}
