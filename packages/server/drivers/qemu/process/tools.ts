// Runs a command-line tool (qemu-img, mostly) with least privilege: no shell, an empty environment, bounded output and
// time, and an end together with the server's, so that a crash leaves no tool writing into a file that a repeat makes anew.
import { spawn } from 'node:child_process'
import type { ChildProcess, StdioOptions } from 'node:child_process'
import { dropped } from './privileges.ts'
import type { Identity } from './privileges.ts'
import { problems } from '../problems.ts'

export interface ToolRun {
  readonly identity: Identity | null
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Bounds for a tool that reads what a stranger made. */
  readonly limits?: { readonly memoryBytes: number; readonly cpuSeconds: number }
  /** An open file that the tool sees as /proc/self/fd/3. */
  readonly file?: number
  /** What the tool reads from its standard input. */
  readonly input?: string
  readonly onOutput?: (text: string) => void
}

export interface ToolResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** PATH with sbin: a login shell of Debian has none, and a service may have nothing. */
export const toolEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  HOME: '/',
}

const outputLimit = 4 * 2 ** 20

export async function runTool(tool: string, args: readonly string[], run: ToolRun): Promise<ToolResult> {
  run.signal?.throwIfAborted()
  const words = [...dropped(run.identity), '--pdeathsig=KILL', '--', ...limited(run.limits), tool, ...args]
  const stdio: StdioOptions = [
    run.input === undefined ? 'ignore' : 'pipe',
    'pipe',
    'pipe',
    ...(run.file === undefined ? [] : [run.file]),
  ]
  const child = spawn('setpriv', words, { stdio, env: toolEnvironment, cwd: '/' })
  child.stdin?.on('error', () => {}).end(run.input) // a tool that ended before it read says why on stderr
  const timer = setTimeout(() => child.kill('SIGKILL'), run.timeoutMs ?? 2 ** 31 - 1)
  const onAbort = () => child.kill('SIGKILL')
  run.signal?.addEventListener('abort', onAbort)
  try {
    const result = await finished(child, tool, run.onOutput)
    if (run.signal?.aborted) throw problems.cancelled(run.signal.reason)
    if (child.signalCode === 'SIGKILL' && run.timeoutMs) throw problems.toolTooSlow(tool, run.timeoutMs / 1000)
    return result
  } finally {
    clearTimeout(timer)
    run.signal?.removeEventListener('abort', onAbort)
  }
}

function limited(limits: ToolRun['limits']): string[] {
  if (!limits) return []
  return ['prlimit', `--as=${limits.memoryBytes}`, `--cpu=${limits.cpuSeconds}`, '--core=0', '--']
}

function finished(child: ChildProcess, tool: string, onOutput?: (text: string) => void): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const texts = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        if (name === 'stdout') onOutput?.(text)
        if (texts[name].length < outputLimit) texts[name] += text
      })
    }
    child.once('error', cause => reject(problems.qemuMissing(tool, cause)))
    child.once('close', code => resolve({ code, ...texts }))
  })
}

/** The last line that a tool wrote, without its name before it. */
export function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? ''
  return line.replace(/^[\w/.-]+: /, '').slice(0, 500)
}
