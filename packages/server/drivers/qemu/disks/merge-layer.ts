// A merge of layers that no machine has open: by a storage daemon of its own, as the account, that opens exactly the files of the
// chain. QEMU's locks refuse it where somebody writes the child.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import type { LayerChain, LayerFacts, Merge, Progress } from '../../driver.ts'
import { machineNodes } from './blockdev.ts'
import { imageProblem } from './convert.ts'
import { flush } from '../machines/cut.ts'
import { factsOf } from './layer-files.ts'
import { dropped, type Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { Qmp } from '../process/qmp.ts'
import { beginMerge, mergeEnded, streamOf } from './stream-job.ts'
import { lastLine, toolEnvironment } from '../process/tools.ts'

export const storageDaemon = 'qemu-storage-daemon'
const greetingLimitMs = 30_000

export async function mergeLayer(
  chain: LayerChain,
  merge: Merge,
  owner: Identity | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<LayerFacts> {
  signal.throwIfAborted()
  const { into } = merge
  const stream = streamOf(0, chain, merge)
  const [base, ...rest] = chain.slice(0, chain.findIndex(({ id }) => id === into.id) + 1)
  const below = [base ?? into, ...rest] as const
  await Promise.all(below.map(factsOf)) // a missing file is named
  const nodes = machineNodes(0, below).flatMap(node => ['--blockdev', JSON.stringify(node)])
  await withDaemon(nodes, into.pool.path, owner, async qmp => {
    await beginMerge(qmp, stream)
    await mergeEnded(qmp, stream, progress, signal)
  })
  await flush(into)
  progress(100)
  return factsOf(into)
}

/** It ends with the server, as all tools do, and its end writes what it holds. */
async function withDaemon(
  nodes: readonly string[],
  pool: string,
  owner: Identity | null,
  act: (qmp: Qmp) => Promise<void>,
): Promise<void> {
  const monitor = ['--chardev', 'socket,id=qmp,fd=3,server=off', '--monitor', 'chardev=qmp']
  const words = [...dropped(owner), '--pdeathsig=KILL', '--', storageDaemon, ...nodes, ...monitor]
  const daemon = spawn('setpriv', words, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: toolEnvironment,
    cwd: '/',
  })
  let said = ''
  daemon.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4096)))
  const ended = once(daemon, 'close')
  ended.catch(() => {})
  try {
    const line = daemon.stdio[3]
    if (!(line instanceof Duplex)) throw problems.qemuMissing(storageDaemon, null)
    const qmp = await Qmp.connect(line, () => {}, greetingLimitMs)
    await act(qmp)
    qmp.execute('quit').catch(() => {}) // the answer may not come any more
    const [code] = await ended
    if (code !== 0 || /Failed to flush/.test(said)) throw problems.toolFailed(storageDaemon, lastLine(said))
  } catch (error) {
    daemon.kill('SIGKILL')
    await ended.catch((cause: unknown) => {
      throw problems.qemuMissing(storageDaemon, cause)
    })
    throw said.trim() === '' ? error : imageProblem(storageDaemon, said, pool)
  }
}
