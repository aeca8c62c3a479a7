// The guest's clock, by its agent. A guest that went on from a memory image believes that no time has passed; it is told the time,
// and asked what it has then. It hears late, and what it answers is old: all that is sure is that it read its clock somewhere
// between question and answer. So it counts as set only where it is near enough at both ends, and else it is told again.
import type { ClockOutcome } from '../../driver.ts'
import type { GuestAgent } from './guest-agent.ts'
import type { Machine } from '../machines/machine.ts'

/** Promised are 250 ms; the rest is for what the guest's clock is off its pace until somebody looks. */
const farOffMs = 200
const mostTellings = 10

export async function setClock({ agent }: Machine, limitMs: number): Promise<ClockOutcome> {
  const deadline = performance.now() + limitMs
  const left = () => Math.max(1, deadline - performance.now())
  if (!agent || !(await agent.ping(limitMs))) return 'agent-missing'
  try {
    for (let told = 0, lateMs = 0; told < mostTellings && performance.now() < deadline; told += 1) {
      if (!(await tell(agent, Date.now() + lateMs, left()))) return 'failed'
      const found = await difference(agent, left())
      if (!found) return 'failed'
      if (Math.abs(found.ms) + found.doubtMs <= farOffMs) return 'set'
      lateMs -= found.ms
    }
    return 'failed'
  } catch {
    return 'failed'
  }
}

/** In nanoseconds: more than a double holds exactly, but right to the microsecond. */
function tell(agent: GuestAgent, time: number, limitMs: number) {
  return agent.command('guest-set-time', { time: Math.round(time) * 1e6 }, limitMs)
}

/** How far the guest's clock is ahead of ours, give or take half the time that the answer took. */
async function difference(agent: GuestAgent, limitMs: number): Promise<{ ms: number; doubtMs: number } | null> {
  const asked = Date.now()
  const answer = await agent.command('guest-get-time', {}, limitMs)
  const answered = Date.now()
  if (!answer) return null
  return { ms: Number(answer.value) / 1e6 - (asked + answered) / 2, doubtMs: (answered - asked) / 2 }
}
