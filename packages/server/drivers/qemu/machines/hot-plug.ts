// What plugging disks and network cards into a machine that runs has in common.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Problem } from '@ramet/core/problem.ts'
import type { Qmp } from '../process/qmp.ts'

/** Guests answer within 0.2 s; one that is starting has no ear for it yet. */
export const releaseLimitMs = 15_000
export const lookEveryMs = 50

export async function devicesOf(qmp: Qmp): Promise<Set<string>> {
  return new Set((await qmp.execute('qom-list', { path: '/machine/peripheral' })).map(({ name }) => name))
}

/** Looks instead of listening: the event may have come while nobody was connected. */
export async function pullOut(qmp: Qmp, id: string, held: Problem, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + releaseLimitMs
  // QEMU refuses to ask again while the guest has not answered; then the first request counts.
  await qmp.execute('device_del', { id }).catch((error: unknown) => refuseAllBut(/process of unplug/, error))
  while ((await devicesOf(qmp)).has(id)) {
    if (performance.now() > deadline) throw held
    await sleep(lookEveryMs, null, { signal })
  }
}

export function refuseAllBut(expected: RegExp, error: unknown): void {
  if (!(error instanceof Error && expected.test(error.message))) throw error
}
