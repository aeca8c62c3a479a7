// How a machine is brought to its end: asked, then told, then killed.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from './machine.ts'
import { killAndWait, waitForEnd } from '../process/process.ts'
import { problems } from '../problems.ts'

const agentLimitMs = 300
/** A guest that is still booting loses the press of its power button, so it is pressed again. */
const askAgainMs = 5000
/** A machine that was just found is not connected yet, and a busy host answers late. */
const listenAgainMs = 100
const answerLimitMs = 2000
const quitLimitMs = 2000
const killLimitMs = 10_000

/** Fulfils when the process is gone. An abort gives up waiting and leaves the machine as it is. */
export async function stopMachine(machine: Machine, graceMs: number, signal: AbortSignal): Promise<void> {
  machine.quiet = true
  try {
    if (graceMs > 0 && (await shutDown(machine, graceMs, signal))) return
    signal.throwIfAborted()
    if (await quit(machine)) return
    if (!(await killAndWait(machine.found.process, killLimitMs))) throw problems.cannotStop(machine.vm)
  } catch (error) {
    machine.quiet = false
    throw signal.aborted ? problems.cancelled(signal.reason) : error
  }
}

/** True when the guest ended in time. Only one whose CPUs surely stand still is not waited for. */
async function shutDown(machine: Machine, graceMs: number, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + graceMs
  const left = () => Math.max(0, deadline - performance.now())
  while (left() > 0 && machine.alive) {
    const heard = await ask(machine, Math.min(answerLimitMs, left()))
    if (heard === 'stands still') return false
    const pause = Math.min(heard === 'asked' ? askAgainMs : listenAgainMs, left())
    const woken = new AbortController()
    const late = sleep(pause, false, { signal: AbortSignal.any([signal, woken.signal]) })
    late.catch(() => {})
    const ended = await Promise.race([machine.gone.then(() => true), late])
    woken.abort()
    if (ended) return true
  }
  return !machine.alive
}

/** By both ways: not every guest has an agent, and not every one listens to its power button. */
async function ask({ qmp, agent }: Machine, limitMs: number): Promise<'asked' | 'no answer' | 'stands still'> {
  const status = await qmp?.execute('query-status', {}, limitMs).catch(() => null)
  if (!qmp || !status) return 'no answer'
  if (!status.running) return 'stands still'
  const pressed = qmp.execute('system_powerdown', {}, limitMs).catch(() => null)
  await Promise.all([pressed, agent?.shutdown(agentLimitMs)])
  return 'asked'
}

/** QEMU's own way out writes what its disks still hold. */
async function quit({ qmp, found }: Machine): Promise<boolean> {
  // The reply may not come any more: only the end counts.
  qmp?.execute('quit', {}, quitLimitMs).catch(() => {})
  return waitForEnd(found.process, qmp ? quitLimitMs : 0)
}
