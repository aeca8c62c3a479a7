// Runs a program in the guest by its agent, and waits for its end. What it says is a stranger's text: of a bounded length, read
// by whoever asked for it. The agent keeps up to 16 MiB of output for itself, and a line of it is bounded by json-socket.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import type { GuestAgent } from './guest-agent.ts'
import { asMessage } from '../process/json-socket.ts'

const longestOutput = 64 * 1024
/** Each question costs an emulated guest some milliseconds of its processor. */
const askEveryMs = { first: 40, last: 320 }
const environment = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C']

export interface Execution {
  readonly path: string
  readonly args: readonly string[]
  readonly input?: Uint8Array
}

export interface Executed {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly output: string
}

/** Null when the agent does not answer, or the program does not end, in time; it goes on then. A refusal is a Problem. */
export async function execute(
  agent: GuestAgent,
  { path, args, input }: Execution,
  limitMs: number,
  signal: AbortSignal,
): Promise<Executed | null> {
  const deadline = performance.now() + limitMs
  const left = () => Math.max(1, deadline - performance.now())
  const data = input && { 'input-data': Buffer.from(input).toString('base64') }
  const wanted = { path, arg: args, env: environment, 'capture-output': true, ...data }
  const pid = Number(asMessage((await agent.command('guest-exec', wanted, left()))?.value)['pid'])
  if (!Number.isSafeInteger(pid)) return null
  for (let wait = askEveryMs.first; performance.now() < deadline; wait = Math.min(wait * 2, askEveryMs.last)) {
    await sleep(Math.min(wait, left()), null, { signal })
    const answer = await agent.command('guest-exec-status', { pid }, left())
    const status = asMessage(answer?.value)
    if (status['exited'] === true) return { code: codeOf(status), output: outputOf(status) }
  }
  return null
}

function codeOf(status: Readonly<Record<string, unknown>>): number | null {
  const code = Number(status['exitcode'])
  return Number.isSafeInteger(code) ? code : null
}

function outputOf(status: Readonly<Record<string, unknown>>): string {
  const base64 = status['out-data']
  if (typeof base64 !== 'string') return ''
  return Buffer.from(base64.slice(0, longestOutput), 'base64').toString('utf8')
}
