// Makes the guest of a clone somebody of its own, through its agent. What is to be done inside is one script (customize.sh), which the
// agent runs with our words as arguments; it says what it found when it looked again. The clock and the network cards are
// asked of the agent itself. What a guest says is compared with what was wanted, and goes no further.
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterClone, identityProblems as problems } from '@ramet/core/identity.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { GuestIdentity } from '../../driver.ts'
import { setClock } from './clock.ts'
import type { GuestAgent } from './guest-agent.ts'
import { awaitCards } from './guest-cards.ts'
import { type Executed, execute } from './guest-exec.ts'
import type { Machine } from '../machines/machine.ts'

const script = await readFile(join(import.meta.dirname, 'customize.sh'), 'utf8')
const answerLimitMs = 5000
/** So long the guest may take to see to a new card by itself, before it is told to. */
const byItselfMs = 4000
/** After that it is named as a problem, and looked at again later. */
const cardsLimitMs = 20_000

export async function customizeGuest(
  machine: Machine,
  identity: GuestIdentity,
  limitMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  signal.throwIfAborted()
  const { agent } = machine
  if (!agent || !(await agent.ping(Math.min(limitMs, answerLimitMs)))) return [problems.noAgent]
  const deadline = performance.now() + limitMs
  const left = () => Math.max(1, deadline - performance.now())
  const wrong = [
    ...(await unlessRefused(makeOwn(agent, machine.vm, identity, left(), signal), problems.noCommands)),
    ...((await setClock(machine, left())) === 'set' ? [] : [problems.clock]),
    ...(await unlessRefused(
      settleCards(agent, identity, Math.min(left(), cardsLimitMs), signal),
      problems.cardsUntold,
    )),
  ]
  return wrong.length > 0 ? wrong : finish(agent, identity, left(), signal)
}

/** An agent may be told by its own configuration to refuse some commands. */
async function unlessRefused(part: Promise<readonly string[]>, problem: string): Promise<readonly string[]> {
  try {
    return await part
  } catch (error) {
    if (error instanceof Problem && error.code === 'guest-agent-refused') return [problem]
    throw error
  }
}

async function makeOwn(
  agent: GuestAgent,
  vm: VmId,
  { instanceId, hostname, ageMs }: GuestIdentity,
  limitMs: number,
  signal: AbortSignal,
): Promise<string[]> {
  const machineId = machineIdOf(vm)
  const words = ['identity', instanceId, hostname, machineId]
  const begun = performance.now()
  const done = await inGuest(agent, words, limitMs, signal, `${randomBytes(64).toString('hex')}\n`)
  if (!done) return [problems.noAgent]
  const said = linesOf(done)
  const isNamed = said.get('hostname') === hostname && said.get('hostname-file') === hostname
  return [
    ...(hasOwnNumbers(said.get('rng') ?? '', ageMs + performance.now() - begun) ? [] : [problems.rng]),
    ...(isNamed ? [] : [problems.hostname]),
    ...(['none', machineId].includes(said.get('machine-id') ?? '') ? [] : [problems.machineId]),
    ...(said.get('ssh-host-keys') === 'own' ? [] : [problems.sshHostKeys]),
  ]
}

/** A guest says how long it is up, and was when its kernel saw another generation; by its answer, the clone is `ageMs` old. */
function hasOwnNumbers(said: string, ageMs: number): boolean {
  const [how, up = 'none', seenAt = 'none'] = said.split(' ')
  return how === 'reseeded' || (how === 'forked' && (Number(up) - Number(seenAt)) * 1000 <= ageMs + 1000)
}

/** As systemd makes it of the board's UUID, which is the machine's id too: 128 bits, and the same at every try. */
export function machineIdOf(vm: VmId): string {
  return vm.replaceAll('-', '').toLowerCase()
}

async function settleCards(
  agent: GuestAgent,
  { cards }: GuestIdentity,
  limitMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const deadline = performance.now() + limitMs
  const wrong = await awaitCards(agent, cards, Math.min(limitMs, byItselfMs), signal)
  if (wrong.length === 0) return wrong
  const left = () => Math.max(1, deadline - performance.now())
  await inGuest(agent, ['network', ...cards.map(({ mac }) => mac)], left(), signal)
  return awaitCards(agent, cards, left(), signal)
}

async function finish(
  agent: GuestAgent,
  { instanceId }: GuestIdentity,
  limitMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const done = await inGuest(agent, ['finish', instanceId, afterClone], limitMs, signal)
  if (!done) return [problems.hookUnconfirmed]
  const said = linesOf(done)
  const code = said.get('after-clone')
  if (code !== 'none' && code !== '0') return [problems.hookFailed(Number(code) || 1)]
  return said.get('instance-id') === instanceId ? [] : [problems.unremembered]
}

function inGuest(
  agent: GuestAgent,
  words: readonly string[],
  limitMs: number,
  signal: AbortSignal,
  input?: string,
): Promise<Executed | null> {
  const args = ['-c', script, 'ramet', ...words]
  return execute(agent, { path: '/bin/sh', args, ...(input && { input: Buffer.from(input) }) }, limitMs, signal)
}

function linesOf({ output }: Executed): Map<string, string> {
  return new Map(output.split('\n').map(line => [line.split('=', 1)[0] ?? '', line.slice(line.indexOf('=') + 1)]))
}
