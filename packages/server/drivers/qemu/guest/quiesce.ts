// The guest's file systems are brought to rest by its agent (fsfreeze), and always woken. A file beside the machine says that they
// may be at rest: it is there before the guest is asked and goes when it was woken, so the next server wakes it after any crash.
import { access, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Quiesced } from '../../driver.ts'
import type { Machine } from '../machines/machine.ts'

/** A guest flushes all it holds first. */
const freezeLimitMs = 10_000
const pingLimitMs = 5000
const thawLimitMs = 2000
const tryAgainMs = 1000

/** What came of it, and how to wake the guest: a call that may be made at any time, and must be. */
export async function quiesce(machine: Machine): Promise<{ outcome: Quiesced; wake: () => Promise<void> }> {
  if (!(await machine.agent?.ping(pingLimitMs))) return { outcome: 'agent-missing', wake: async () => {} }
  await markQuiesced(machine)
  const asked = machine.agent?.command('guest-fsfreeze-freeze', {}, freezeLimitMs)
  const answer = await asked?.catch(() => null)
  // No file system was frozen, or nobody knows: some may be.
  const outcome = Number(answer?.value) > 0 ? 'quiesced' : 'failed'
  return { outcome, wake: () => wake(machine) }
}

export function markQuiesced({ found }: Machine): Promise<void> {
  return writeFile(found.folder.quiesced, '', { mode: 0o600 })
}

/** Wakes a guest that an earlier call, or an earlier server, may have left at rest. Goes on trying in the background. */
export async function wake(machine: Machine): Promise<void> {
  if (await tryToWake(machine)) return
  void keepWaking(machine)
}

export async function wakeIfMarked(machine: Machine): Promise<void> {
  const isMarked = await access(machine.found.folder.quiesced).then(
    () => true,
    () => false,
  )
  if (isMarked) await wake(machine)
}

async function keepWaking(machine: Machine): Promise<void> {
  do await sleep(tryAgainMs, null, { ref: false })
  while (machine.watched && machine.alive && !(await tryToWake(machine)))
}

/** Waking one that is awake does nothing. */
async function tryToWake({ agent, found }: Machine): Promise<boolean> {
  const answer = await agent?.command('guest-fsfreeze-thaw', {}, thawLimitMs).catch(() => null)
  if (!answer) return false
  await rm(found.folder.quiesced, { force: true })
  return true
}
