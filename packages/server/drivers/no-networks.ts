// What a driver has in place of guest networks, where it makes none: every call is refused, with the reason.
import { Problem } from '@ramet/core/problem.ts'
import type { Networks } from './networks.ts'

export function noNetworks(why: string): Networks {
  const refuse = async (): Promise<never> => {
    throw new Problem('unsupported', 'no-networks', why)
  }
  return {
    ensure: refuse,
    remove: refuse,
    list: refuse,
    release: refuse,
    setDefault: refuse,
    forward: refuse,
    unforward: refuse,
    forwards: refuse,
  }
}
