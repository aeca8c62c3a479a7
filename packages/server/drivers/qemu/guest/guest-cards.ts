// What the guest says of its network cards, by its agent. It has its address when DHCP has given it one, a moment after the
// card was plugged in.
import { setTimeout as sleep } from 'node:timers/promises'
import { identityProblems } from '@ramet/core/identity.ts'
import type { GuestIdentity } from '../../driver.ts'
import type { GuestAgent } from './guest-agent.ts'
import { asMessage } from '../process/json-socket.ts'

const askEveryMs = 250
const mostCards = 256
/** Every card that a host of ours makes begins so; other interfaces belong to the guest. */
const ours = '52:54:00:'

type Card = GuestIdentity['cards'][number]

/** Asks until nothing is wrong any more, or the time is up: what is wrong then. */
export async function awaitCards(
  agent: GuestAgent,
  cards: readonly Card[],
  limitMs: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const answer = await agent.command('guest-network-get-interfaces', {}, Math.max(1, deadline - performance.now()))
    if (!answer) return [identityProblems.noAgent]
    const wrong = wrongWith(cards, addressesIn(answer.value))
    if (wrong.length === 0 || performance.now() + askEveryMs > deadline) return wrong
    await sleep(askEveryMs, null, { signal })
  }
}

export function wrongWith(cards: readonly Card[], found: ReadonlyMap<string, readonly string[]>): string[] {
  const own = new Set(cards.map(({ mac }) => mac))
  const inherited = [...found.keys()].some(mac => mac.startsWith(ours) && !own.has(mac))
  const wrong = cards.flatMap(({ mac, address }) => {
    const addresses = found.get(mac)
    if (!addresses) return [identityProblems.card(mac)]
    return (address ? addresses.includes(address) : addresses.length > 0) ? [] : [identityProblems.address(mac)]
  })
  return inherited ? [identityProblems.inheritedCard, ...wrong] : wrong
}

/** IPv4 addresses by MAC. */
export function addressesIn(value: unknown): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const card of listOf(value).slice(0, mostCards).map(asMessage)) {
    const mac = textOf(card['hardware-address']).toLowerCase()
    const addresses = listOf(card['ip-addresses']).slice(0, mostCards).map(asMessage)
    const four = addresses.filter(each => each['ip-address-type'] === 'ipv4').map(each => textOf(each['ip-address']))
    if (mac) found.set(mac, [...(found.get(mac) ?? []), ...four])
  }
  return found
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
