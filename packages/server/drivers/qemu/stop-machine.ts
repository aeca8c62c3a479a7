// How a machine is brought to its end: asked, then told, then killed.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from './machine.ts'
import { killAndWait, waitForEnd } from './process.ts'
import { problems } from './problems.ts'

const agentLimitMs = 300
/** A guest that is still booting loses the press of its power button, so it is pressed again. */
const askAgainMs = 5000
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

/** True when the guest ended in time. A machine whose CPUs stand still cannot, and is not waited for. */
async function shutDown(machine: Machine, graceMs: number, signal: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + graceMs
  while (Date.now() < deadline && machine.alive) {
    if (!(await ask(machine))) return false
    const pause = Math.min(askAgainMs, deadline - Date.now())
    const woken = new AbortController()
    const late = sleep(pause, false, { signal: AbortSignal.any([signal, woken.signal]) })
    late.catch(() => {})
    const ended = await Promise.race([machine.gone.then(() => true), late])
    woken.abort()
    if (ended) return true
  }
  return !machine.alive
}

/** By both ways: not every guest has an agent, and not every one listens to its power button. False: it cannot hear. */
async function ask({ qmp, agent }: Machine): Promise<boolean> {
  const status = await qmp?.execute('query-status', {}, quitLimitMs).catch(() => null)
  if (!qmp || !status?.running) return false
  const pressed = qmp.execute('system_powerdown', {}, quitLimitMs).catch(() => null)
  await Promise.all([pressed, agent?.shutdown(agentLimitMs)])
  return true
}

/** QEMU's own way out writes what its disks still hold. */
async function quit({ qmp, found }: Machine): Promise<boolean> {
  // The reply may not come any more: only the end counts.
  qmp?.execute('quit', {}, quitLimitMs).catch(() => {})
  return waitForEnd(found.process, qmp ? quitLimitMs : 0)
}
