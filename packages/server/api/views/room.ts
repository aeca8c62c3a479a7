// What an account or a domain may have and has, on the wire: three fields for each limited resource.
import { type LimitedResource, limitedResourceNames, limitedResources, unlimited } from '@ramet/core/limits.ts'
import type { Room } from '../../store/limits.ts'
import { type Field, long, string } from '../view.ts'

const prefixes = {
  user_vm: 'vm',
  public_ip: 'ip',
  volume: 'volume',
  template: 'template',
  network: 'network',
  cpu: 'cpu',
  memory: 'memory',
  primary_storage: 'primarystorage',
  secondary_storage: 'secondarystorage',
} as const satisfies Record<LimitedResource, string>

export function roomFields<Source>(roomOf: (source: Source) => Room): Record<string, Field<Source>> {
  return Object.fromEntries(limitedResourceNames.flatMap(name => fieldsOf(name, roomOf)))
}

function fieldsOf<S>(name: LimitedResource, roomOf: (source: S) => Room): [string, Field<S>][] {
  const { label } = limitedResources[name]
  const prefix = prefixes[name]
  return [
    [`${prefix}limit`, string(`most ${label}, or Unlimited`, source => shown(roomOf(source).limits[name]))],
    [`${prefix}total`, long(`its ${label}`, source => inUnits(name, roomOf(source)))],
    [`${prefix}available`, string(`${label} still to be had, or Unlimited`, source => left(name, roomOf(source)))],
  ]
}

function shown(limit: number): string {
  return limit === unlimited ? 'Unlimited' : String(limit)
}

function inUnits(name: LimitedResource, { use }: Room): number {
  return Math.ceil(use[name] / limitedResources[name].unit)
}

function left(name: LimitedResource, room: Room): string {
  const limit = room.limits[name]
  return limit === unlimited ? 'Unlimited' : String(Math.max(0, limit - inUnits(name, room)))
}
